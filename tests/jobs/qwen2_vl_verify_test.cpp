#include "support.h"

namespace qwen2_vl_verify_test {

TEST_CASE("Qwen2-VL and Qwen2.5-VL: what transformers recorded, with Qwen's own positions") {
  tandem::testing::check_recorded({"qwen2_vl_images", "qwen2_vl_video", "qwen2_vl_video5",
                                   "qwen2_vl_text", "qwen2_vl_cells", "qwen25_vl_images",
                                   "qwen25_vl_video", "qwen25_vl_video5", "qwen25_vl_text",
                                   "qwen2_vl_sliding", "qwen25_vl_sliding"});
}

}  // namespace qwen2_vl_verify_test
