#include "support.h"

namespace qwen_vl_verify_test {

TEST_CASE("Qwen-VL: features, logits, loss and gradients equal those of the released code") {
  tandem::testing::check_recorded(
      {"qwen_vl", "qwen_vl_left", "qwen_vl_long", "qwen_vl_logn", "qwen_vl_text"});
}

}  // namespace qwen_vl_verify_test
