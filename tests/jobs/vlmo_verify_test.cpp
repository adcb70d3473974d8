// Fixtures: tests/reference/vlmo.py (microsoft/unilm's VLMo, torch 2.11.0) and vlmo_mim.py
// (transformers 5.17.0).

#include "support.h"

namespace vlmo_verify_test {

TEST_CASE("VLMo's losses and gradients equal the original's") {
  tandem::testing::check_recorded({"vlmo_base", "vlmo_base_plus", "vlmo_grid", "vlmo_no_joint",
                                   "vlmo_all_joint", "vlmo_language", "vlmo_language_plus"});
}

TEST_CASE("VLMo: masked image modelling equals BEiT's, with given codes") {
  tandem::testing::check_recorded({"vlmo_mim", "vlmo_mim_plus"}, 30);
}

}  // namespace vlmo_verify_test
