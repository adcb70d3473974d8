#include "support.h"

namespace blip2_verify_test {

TEST_CASE("BLIP-2: outputs, losses and gradients equal those that the originals recorded") {
  tandem::testing::check_recorded({"blip2_opt", "blip2_opt_behind", "blip2_t5", "blip2_t5_plain",
                                   "blip2_model", "blip2_match", "blip2_cosine", "blip2_qformer",
                                   "blip2_qformer_clip"});
}

}  // namespace blip2_verify_test
