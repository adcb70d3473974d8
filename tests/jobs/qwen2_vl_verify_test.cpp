#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tandem/jobs/verify.h"

using namespace tandem::jobs;
namespace fs = std::filesystem;

TEST_CASE("Qwen2-VL and Qwen2.5-VL: what transformers recorded, with Qwen's own positions") {
  const fs::path fixtures = fs::path(TANDEM_SOURCE_DIR) / "tests/reference/fixtures";
  for (const char* name :
       {"qwen2_vl_images", "qwen2_vl_video", "qwen2_vl_video5", "qwen2_vl_text", "qwen2_vl_cells",
        "qwen25_vl_images", "qwen25_vl_video", "qwen25_vl_video5", "qwen25_vl_text"}) {
    CAPTURE(name);
    const VerifyReport report = verify(fixtures / name, fixtures / name / "reference.safetensors");
    INFO(report.text());
    CHECK(report.equal());
  }
}
