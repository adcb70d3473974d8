// Fixtures: tests/reference/vilt.py (transformers 5.17.0, torch 2.11.0, dandelin/ViLT).

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "../support/temporary.h"
#include "support.h"
#include "tandem/tensor/safetensors.h"

namespace vilt_verify_test {

using namespace tandem;
using namespace tandem::jobs;
using namespace tandem::testing;
namespace fs = std::filesystem;

namespace {

// What verify says of the fixture with its config.json and its recorded tensors changed.
bool equal_with(const std::string& name, const std::function<void(nlohmann::json&)>& config,
                const std::function<void(TensorFile&)>& recorded = {}) {
  const TemporaryDirectory scratch;
  const fs::path directory = scratch.path() / name;
  fs::copy(fixture(name), directory);
  fs::rename(directory / "reference.safetensors", scratch.path() / "reference.safetensors");
  if (config) {
    nlohmann::json root = nlohmann::json::parse(std::ifstream(directory / "config.json"));
    config(root);
    std::ofstream(directory / "config.json") << root;
  }
  if (recorded) {
    TensorFile file = load_safetensors(scratch.path() / "reference.safetensors");
    recorded(file);
    save_safetensors(scratch.path() / "reference.safetensors",
                     NamedTensors(file.tensors.begin(), file.tensors.end()), file.metadata);
  }
  return verify(directory, scratch.path() / "reference.safetensors").equal();
}

}  // namespace

TEST_CASE("ViLT's outputs, losses and gradients equal those of transformers and of the original") {
  check_recorded({"vilt_model", "vilt_square", "vilt_masked_lm", "vilt_vqa", "vilt_nlvr2",
                  "vilt_limit", "vilt_tokens", "vilt_embeddings", "vilt_pretraining",
                  "vilt_pretraining_200"});
}

TEST_CASE("a wrong epsilon, activation, number of heads or learned padding row of ViLT shows") {
  using nlohmann::json;
  CHECK_FALSE(equal_with("vilt_model", [](json& c) { c["layer_norm_eps"] = 1e-6; }));
  CHECK_FALSE(equal_with("vilt_model", [](json& c) { c["hidden_act"] = "gelu"; }));
  CHECK_FALSE(equal_with("vilt_masked_lm", [](json& c) { c["num_attention_heads"] = 2; }));
  CHECK_FALSE(equal_with("vilt_masked_lm", [](json& c) { c.erase("pad_token_id"); }));
  CHECK_FALSE(equal_with("vilt_vqa", [](json& c) { c["max_image_length"] = 5; }));
}

TEST_CASE("the pre-training step takes nothing from config.json that the original does not") {
  CHECK(equal_with("vilt_pretraining", [](nlohmann::json& c) {
    c["layer_norm_eps"] = 1e-3;
    c["hidden_act"] = "relu";
    c["tie_word_embeddings"] = true;
  }));
}

TEST_CASE("rows of a picture are compared in any order, and each of them is") {
  const auto change = [](std::int64_t row) {
    return equal_with("vilt_model", {}, [row](TensorFile& file) {
      at::Tensor& hidden = file.tensors.at("output.last_hidden_state");
      hidden[0][row] += 1;
    });
  };
  const at::Tensor hidden = load_safetensors(fixture("vilt_model") / "reference.safetensors")
                                .tensors.at("output.last_hidden_state");
  CHECK_FALSE(change(hidden.size(1) - 1));
  CHECK_FALSE(change(0));
}

}  // namespace vilt_verify_test
