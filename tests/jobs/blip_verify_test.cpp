#include "support.h"

namespace blip_verify_test {

TEST_CASE("BLIP: outputs, losses, gradients and states equal those that the originals recorded") {
  tandem::testing::check_recorded(
      {"blip_caption", "blip_caption_plain", "blip_caption_small", "blip_caption_untied",
       "blip_answer", "blip_answer_labels", "blip_match", "blip_cosine", "blip_contrast",
       "blip_contrast_encoder", "blip_pretrain", "blip_pretrain_clamped", "blip_pretrain_soft",
       "blip_nlvr", "blip_retrieval"});
}

}  // namespace blip_verify_test
