#include "tandem/checkpoint/adapter.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "../support/temporary.h"
#include "tandem/base/error.h"
#include "tandem/checkpoint/checkpoint.h"

namespace adapter_test {

using namespace tandem;
using namespace tandem::checkpoint;

namespace {

using Tensors = std::map<std::string, at::Tensor>;

at::Tensor weight() { return at::arange(12, at::kFloat).view({4, 3}); }
at::Tensor down() { return at::arange(6, at::kFloat).view({2, 3}).mul(0.5); }
at::Tensor up() { return at::arange(8, at::kFloat).view({4, 2}).sub(3); }

Tensors adapter(const std::string& layer = "a.b") {
  return {{"base_model.model." + layer + ".lora_A.weight", down()},
          {"base_model.model." + layer + ".lora_B.weight", up()}};
}

Tensors merged(const Tensors& tensors, const std::string& config) {
  return merge_adapter({{"a.b.weight", weight()}, {"a.b.bias", at::ones({4})}}, tensors, config,
                       "adapter");
}

}  // namespace

TEST_CASE("a merged weight is W + alpha / rank B A, and alpha / sqrt(rank) where that is said") {
  const at::Tensor product = at::matmul(up(), down());
  const Tensors plain = merged(adapter(), R"({"peft_type": "LORA", "r": 2, "lora_alpha": 16})");
  CHECK(plain.at("a.b.weight").equal(weight().add(product, 8.0)));
  CHECK(plain.at("a.b.bias").equal(at::ones({4})));
  const Tensors stable =
      merged(adapter(), R"({"peft_type": "LORA", "lora_alpha": 16, "use_rslora": true})");
  CHECK(stable.at("a.b.weight").allclose(weight().add(product, 16 / std::sqrt(2.0))));
  const Tensors pattern = merged(
      adapter(), R"({"peft_type": "LORA", "lora_alpha": 16, "alpha_pattern": {"b": 4, "x": 9}})");
  CHECK(pattern.at("a.b.weight").equal(weight().add(product, 2.0)));
}

TEST_CASE("a config that is written gives the same scales when it is read") {
  const auto scale = [](const std::vector<AdapterLayer>& layers) {
    const at::Tensor zero = at::full({4, 3}, 0.0);
    const Tensors got = merge_adapter({{"a.b.weight", zero}}, adapter(),
                                      adapter_config_json(layers, ""), "adapter");
    return got.at("a.b.weight")[3][2].div(at::matmul(up(), down())[3][2]).item<double>();
  };
  CHECK(scale({{"a.b", 2, 10.0 / 2}}) == Approx(5));
  CHECK(scale({{"a.b", 2, 16 / std::sqrt(2.0)}}) == Approx(16 / std::sqrt(2.0)));
  CHECK(scale({{"other", 4, 2.0}, {"a.b", 2, 7.5}}) == Approx(7.5));
  const auto json = nlohmann::json::parse(
      adapter_config_json({{"x", 4, 2.0, 0.1}, {"y", 8, 2.0, 0.1}}, "some/base"));
  CHECK(json["peft_type"] == "LORA");
  CHECK(json["base_model_name_or_path"] == "some/base");
  CHECK(json["r"] == 4);
  CHECK(json["lora_alpha"] == 8);
  CHECK(json["lora_dropout"] == 0.1);
  CHECK(json["target_modules"] == nlohmann::json::array({"x", "y"}));
  CHECK(json["rank_pattern"] == nlohmann::json{{"y", 8}});
  CHECK(json["alpha_pattern"] == nlohmann::json{{"y", 16}});
}

TEST_CASE("names go to the file's and back") {
  CHECK(to_peft_name("a.lora_A.weight") == "base_model.model.a.lora_A.weight");
  CHECK(from_peft_name("base_model.model.a.lora_A.weight") == "a.lora_A.weight");
  CHECK(from_peft_name("a.lora_A.weight") == "a.lora_A.weight");
}

TEST_CASE("an adapter that is broken or of another kind is refused") {
  const std::string good = R"({"peft_type": "LORA", "lora_alpha": 16})";
  CHECK_THROWS_WITH(merged(adapter("a.c"), good), Catch::Contains("a.c"));
  Tensors half = adapter();
  half.erase(half.begin());
  CHECK_THROWS_AS(merged(half, good), Error);
  half = adapter();
  half.erase(std::prev(half.end()));
  CHECK_THROWS_WITH(merged(half, good), Catch::Contains("lora_B"));
  CHECK_THROWS_AS(merged({}, good), Error);
  Tensors shape = adapter();
  shape.begin()->second = at::ones({2, 4});
  CHECK_THROWS_WITH(merged(shape, good), Catch::Contains("a.b"));
  for (const char* config :
       {R"({"peft_type": "LOHA"})", R"({"bias": "all"})", R"({"use_dora": true})",
        R"({"modules_to_save": ["head"]})", R"({"alpha_pattern": {"a.*": 3}})", "[]"}) {
    CAPTURE(config);
    CHECK_THROWS_AS(merged(adapter(), config), Error);
  }
  CHECK_THROWS_AS(merged(adapter(), "{"), Error);
  CHECK_THROWS_AS(merged(adapter(), R"({"lora_alpha": "x"})"), Error);
}

TEST_CASE("weights are loaded with their adapter, or their averages, in place") {
  testing::TemporaryDirectory folder;
  save_safetensors(folder / "model.safetensors", {{"a.b.weight", weight()}, {"c", at::ones({2})}});
  CHECK_FALSE(has_adapter(folder.path()));
  CHECK_THROWS_WITH(load_weights(folder.path(), true), Catch::Contains("ema"));
  save_safetensors(folder / "ema.safetensors", {{"c", at::full({2}, 5.0)}});
  CHECK(load_weights(folder.path()).at("c").equal(at::ones({2})));
  CHECK(load_weights(folder.path(), true).at("c").equal(at::full({2}, 5.0)));

  const Tensors tensors = adapter();
  save_safetensors(folder / adapter_tensors_file, {tensors.begin(), tensors.end()});
  testing::put_file(folder / adapter_config_file, adapter_config_json({{"a.b", 2, 0.5}}, ""));
  CHECK(has_adapter(folder.path()));
  const at::Tensor product = at::matmul(up(), down());
  CHECK(load_weights(folder.path()).at("a.b.weight").equal(weight().add(product, 0.5)));
  save_safetensors(folder / "ema.safetensors", {{"a.b.lora_B.weight", at::full({4, 2}, 1.0)}});
  CHECK(load_weights(folder.path(), true)
            .at("a.b.weight")
            .equal(weight().add(at::matmul(at::ones({4, 2}), down()), 0.5)));
  save_safetensors(folder / "ema.safetensors", {{"nobody", at::ones({1})}});
  CHECK_THROWS_WITH(load_weights(folder.path(), true), Catch::Contains("nobody"));
}

}  // namespace adapter_test
