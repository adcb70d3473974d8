#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tandem/jobs/verify.h"

using namespace tandem::jobs;
namespace fs = std::filesystem;

TEST_CASE("BLIP: outputs, losses, gradients and states equal those that the originals recorded") {
  const fs::path fixtures = fs::path(TANDEM_SOURCE_DIR) / "tests/reference/fixtures";
  for (const char* name :
       {"blip_caption", "blip_caption_plain", "blip_caption_small", "blip_caption_untied",
        "blip_answer", "blip_answer_labels", "blip_match", "blip_cosine", "blip_contrast",
        "blip_contrast_encoder", "blip_pretrain", "blip_pretrain_clamped", "blip_pretrain_soft",
        "blip_nlvr", "blip_retrieval"}) {
    CAPTURE(name);
    const VerifyReport report = verify(fixtures / name, fixtures / name / "reference.safetensors");
    INFO(report.text());
    CHECK(report.equal());
  }
}
