// Fixtures: tests/reference/blip.py (transformers 5.17.0, salesforce/BLIP, torch 2.11.0).

#include "support.h"

namespace blip_verify_test {

TEST_CASE("BLIP: outputs, losses, gradients and states equal those that the originals recorded") {
  tandem::testing::check_recorded(
      {"blip_caption", "blip_caption_plain", "blip_caption_small", "blip_caption_untied",
       "blip_answer", "blip_answer_labels", "blip_match", "blip_cosine", "blip_contrast",
       "blip_contrast_encoder", "blip_pretrain", "blip_pretrain_clamped", "blip_pretrain_soft",
       "blip_steps", "blip_nlvr", "blip_retrieval"});
}

TEST_CASE("BLIP: three steps give the original's losses, copies and queues, around their end") {
  tandem::testing::check_steps("blip_steps", "BLIP_Pretrain", 100);
}

TEST_CASE("BLIP: weighted answers and ranked candidates equal those of the original") {
  tandem::testing::check_recorded({"blip_vqa"}, 100);
}

}  // namespace blip_verify_test
