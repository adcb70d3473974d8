#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tandem/jobs/verify.h"

using namespace tandem::jobs;
namespace fs = std::filesystem;

TEST_CASE("LLaVA: logits, losses and gradients equal those that transformers recorded") {
  const fs::path fixtures = fs::path(TANDEM_SOURCE_DIR) / "tests/reference/fixtures";
  for (const char* name : {"llava_mlp", "llava_qwen2_tied", "llava_layers_full", "llava_text",
                           "llava_linear", "llava_original"}) {
    CAPTURE(name);
    const VerifyReport report = verify(fixtures / name, fixtures / name / "reference.safetensors");
    INFO(report.text());
    CHECK(report.equal());
  }
}
