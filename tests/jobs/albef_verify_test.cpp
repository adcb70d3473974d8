// Fixtures: tests/reference/albef.py, albef_tasks.py (salesforce/ALBEF, torch 2.11.0).

#include <ATen/TensorOperators.h>

#include <catch2/catch.hpp>

#include "support.h"
#include "tandem/jobs/model_files.h"
#include "tandem/tensor/safetensors.h"

namespace albef_verify_test {

using namespace tandem;
using namespace tandem::jobs;
using namespace tandem::testing;

TEST_CASE("ALBEF: losses, gradients and states equal those that the original recorded") {
  check_recorded(
      {"albef_half", "albef_cold", "albef_hot", "albef_all_fuse", "albef_none_fuses", "albef_steps",
       "albef_retrieval", "albef_retrieval_plain", "albef_entailment", "albef_entailment_plain",
       "albef_assignment", "albef_reasoning", "albef_answering", "albef_answering_plain"},
      30);
}

TEST_CASE("ALBEF: three steps give the original's losses, copies and queues, around their end") {
  check_steps("albef_steps", "ALBEF", 100);
}

TEST_CASE("ALBEF: words are located as the original's Grad-CAM does") {
  for (const char* name : {"albef_half", "albef_hot", "albef_all_fuse", "albef_steps"}) {
    CAPTURE(name);
    const TensorFile file = load_safetensors(fixture(name) / "reference.safetensors");
    const auto model = make_model(read_model(fixture(name), "ALBEF"));
    model->train(false);
    Batch batch;
    batch.images = Images{};
    batch.images->pixels = file.tensors.at("input.pixel_values");
    batch.text =
        Tokens{file.tensors.at("input.input_ids"), file.tensors.at("input.attention_mask")};
    const at::Tensor recorded = file.tensors.at("extra.grad_cam");
    const at::Tensor map = model->abilities().locate(batch);
    REQUIRE(map.sizes() == recorded.sizes());
    const double largest = recorded.abs().max().item<double>();
    CHECK(largest > 0);
    CHECK((map - recorded).abs().max().item<double>() <= 1e-4 * largest);
  }
}

}  // namespace albef_verify_test
