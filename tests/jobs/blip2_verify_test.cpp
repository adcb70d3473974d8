#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tandem/jobs/verify.h"

using namespace tandem::jobs;
namespace fs = std::filesystem;

TEST_CASE("BLIP-2: outputs, losses and gradients equal those that the originals recorded") {
  const fs::path fixtures = fs::path(TANDEM_SOURCE_DIR) / "tests/reference/fixtures";
  for (const char* name :
       {"blip2_opt", "blip2_opt_behind", "blip2_t5", "blip2_t5_plain", "blip2_model", "blip2_match",
        "blip2_cosine", "blip2_qformer", "blip2_qformer_clip"}) {
    const VerifyReport report = verify(fixtures / name, fixtures / name / "reference.safetensors");
    INFO(name << "\n" << report.text());
    CHECK(report.equal());
  }
}
