#include "support.h"

namespace llava_verify_test {

TEST_CASE("LLaVA: logits, losses and gradients equal those that transformers recorded") {
  tandem::testing::check_recorded({"llava_mlp", "llava_qwen2_tied", "llava_layers_full",
                                   "llava_text", "llava_linear", "llava_original",
                                   "llava_qwen2_sliding", "llava_opt", "llava_eva"});
}

}  // namespace llava_verify_test
