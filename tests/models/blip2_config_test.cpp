// What config.json of a BLIP-2 may say beside what the fixtures say.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "../support/errors.h"
#include "../support/fixtures.h"
#include "../support/temporary.h"
#include "models/blip2/model.h"
#include "models/blip2/weights.h"
#include "tandem/models/weights.h"
#include "tandem/tensor/safetensors.h"

namespace blip2_config_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::testing;
using nlohmann::json;
using tandem::test::contains;
using tandem::test::error_of;

namespace {

json changed(const char* name, const std::function<void(json&)>& change) {
  json root = json::parse(bytes_of_file(fixture(name) / "config.json"));
  change(root);
  return root;
}

blip2::Config read(const json& root) {
  return blip2::config_of(*blip2::from_config_json(root.dump()));
}

}  // namespace

TEST_CASE("BLIP-2: parts for texts that a writing class never runs are left out") {
  const blip2::Config config = read(changed(
      "blip2_opt", [](json& root) { root["qformer_config"]["use_qformer_text_input"] = true; }));
  blip2::Blip2Model model(config, Key(1));
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, tensor] : model.parameters()) weights[name] = tensor.detach();
  for (const char* layer : {"0", "1", "2"}) {
    const std::string prefix = std::string("qformer.encoder.layer.") + layer + ".";
    REQUIRE(weights.contains(prefix + "output_query.dense.weight"));
    REQUIRE(weights.contains(prefix + "attention.output.dense.weight"));
    weights[prefix + "intermediate.dense.weight"] = at::ones({20, 16});
    weights[prefix + "output.dense.weight"] = at::ones({16, 20});
    weights[prefix + "output.LayerNorm.weight"] = at::ones({16});
  }
  CHECK_NOTHROW(assign_weights(model, blip2::import_weights(weights, config)));
}

TEST_CASE("BLIP-2: a class that reads texts without parts for them is refused") {
  const json root = changed(
      "blip2_match", [](json& all) { all["qformer_config"]["use_qformer_text_input"] = false; });
  CHECK(contains(error_of([&] { read(root); }).message(), "use_qformer_text_input"));
}

TEST_CASE("BLIP-2: a text ends with any of the marks that config.json names") {
  const auto with = [](const json& ends) {
    return read(
        changed("blip2_opt", [&](json& root) { root["text_config"]["eos_token_id"] = ends; }));
  };
  const blip2::Config several = with({7, 9, 11});
  CHECK(several.language.ends() == std::vector<std::int64_t>{7, 9, 11});
  const json again = json::parse(blip2::to_config_json(several));
  CHECK(again["text_config"]["eos_token_id"].dump() == "[7,9,11]");
  CHECK(with(7).language.ends() == std::vector<std::int64_t>{7});
  CHECK(with(nullptr).language.ends().empty());
  CHECK(contains(error_of([&] { with({7, "x"}); }).message(), "eos_token_id"));
  CHECK(contains(error_of([&] { with({7, 40}); }).message(), "eos_id"));  // 40 words

  Batch prompts;
  at::manual_seed(1);
  prompts.images = Images{at::randn({1, 3, 8, 8}), {}};
  prompts.text = Tokens{at::full({1, 2}, 3, at::kLong), {}, {}, {}, {}};
  GenerateOptions options;
  options.max_length = 6;
  const auto written = [&](const blip2::Config& config) {
    blip2::Blip2Model model(config, Key(1));
    model.train(false);
    return model.abilities().generate(prompts, options).at(0);
  };
  const std::vector<std::int64_t> endless = written(with(nullptr));
  REQUIRE(endless.size() == 6);
  const std::vector<std::int64_t> ended = written(with({0, endless[0]}));
  CHECK(ended == std::vector<std::int64_t>{endless[0]});
}

TEST_CASE("BLIP-2: the head of a language model from elsewhere is the table of words, or its own") {
  const TemporaryDirectory folder;
  blip2::Config config = read(changed("blip2_t5", [](json&) {}));
  config.language.tied = false;
  const blip2::Blip2Model source(config, Key(1));
  const std::string prefix = "language_model.";
  NamedTensors parts;
  at::Tensor head;
  for (const auto& [name, tensor] : source.parameters()) {
    if (!name.starts_with(prefix)) continue;
    parts.emplace_back(name.substr(prefix.size()), tensor.detach());
    if (name == prefix + "lm_head.weight") head = tensor.detach();
  }
  REQUIRE(head.defined());
  save_safetensors(folder / "model.safetensors", parts);
  const json whole = json::parse(blip2::to_config_json(config));
  blip2::read_language_json(config.language, whole["text_config"].dump());
  CHECK_FALSE(config.language.tied);  // what the settings said; the file says nothing
  config.language.pretrained = folder.path().string();
  const blip2::Blip2Model own(config, Key(2));
  for (const auto& [name, tensor] : own.parameters()) {
    if (name == prefix + "lm_head.weight") CHECK(at::equal(tensor, head));
  }
  config.language.tied = true;
  blip2::read_language_json(config.language, whole["text_config"].dump());
  CHECK(config.language.tied);
  const Error error = error_of([&] { blip2::Blip2Model(config, Key(2)); });
  CHECK(error.hint() == "model.language.tied: false");
  for (auto& [name, tensor] : parts) {  // the same numbers under both names
    if (name == "shared.weight") tensor = head;
  }
  save_safetensors(folder / "model.safetensors", parts);
  CHECK_NOTHROW(blip2::Blip2Model(config, Key(2)));
}

TEST_CASE("BLIP-2: positions of OPT may be given, those of T5 are not used") {
  for (const char* name : {"blip2_opt", "blip2_t5"}) {
    CAPTURE(name);
    blip2::Blip2Model model(read(changed(name, [](json&) {})), Key(1));
    model.train(false);
    const bool t5 = std::string(name) == "blip2_t5";
    // A row's beginning is padding; the picture's places are those of word 39.
    at::Tensor ids = at::tensor({3, 3, 39, 39, 39, 5, 6, 4, 39, 39, 39, 5, 6, 7}, at::kLong);
    ids = ids.view({2, 7});
    at::Tensor mask = at::ones_like(ids);
    mask[0].narrow(0, 0, 2).fill_(0);
    at::manual_seed(2);
    std::map<std::string, at::Tensor> inputs{
        {"pixel_values", at::randn({2, 3, 8, 8})}, {"input_ids", ids}, {"attention_mask", mask}};
    if (t5) inputs["labels"] = ids.narrow(1, 4, 3).clone();
    const auto logits = [&] { return model.reference_outputs(inputs).at("logits"); };
    const at::Tensor counted = logits();
    inputs["position_ids"] =
        at::tensor({-1, -1, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6}, at::kLong).view({2, 7});
    CHECK(at::equal(logits(), counted));
    inputs["position_ids"] = at::arange(7).view({1, 7}) + 3;
    CHECK(at::equal(logits(), counted) == t5);
    inputs["position_ids"] = at::arange(6).view({1, 6});
    if (!t5) CHECK(contains(error_of([&] { logits(); }).message(), "position_ids"));
  }
}

}  // namespace blip2_config_test
