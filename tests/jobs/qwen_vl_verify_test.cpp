#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tandem/jobs/verify.h"

using namespace tandem::jobs;
namespace fs = std::filesystem;

TEST_CASE("Qwen-VL: features, logits, loss and gradients equal those of the released code") {
  const fs::path fixtures = fs::path(TANDEM_SOURCE_DIR) / "tests/reference/fixtures";
  for (const char* name :
       {"qwen_vl", "qwen_vl_left", "qwen_vl_long", "qwen_vl_logn", "qwen_vl_text"}) {
    CAPTURE(name);
    const VerifyReport report = verify(fixtures / name, fixtures / name / "reference.safetensors");
    INFO(report.text());
    CHECK(report.equal());
  }
}
