// What config.json of a BLIP-2 may say beside what the fixtures say.

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "../support/errors.h"
#include "../support/fixtures.h"
#include "../support/temporary.h"
#include "models/blip2/model.h"
#include "models/blip2/weights.h"
#include "tandem/models/weights.h"

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

}  // namespace blip2_config_test
