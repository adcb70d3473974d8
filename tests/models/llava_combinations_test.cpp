// Every tower with every connector with every decoder that a config can say: forward, backward, out
// to files' names and back.

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "models/llava/config.h"
#include "models/llava/model.h"
#include "models/llava/weights.h"
#include "tandem/models/weights.h"

namespace llava_combinations_test {

using namespace tandem;
using namespace tandem::models;

namespace {

using Choice = std::pair<std::string, std::function<void(llava::Config&)>>;

const std::vector<Choice> towers{
    {"quick_gelu, the second-last block", [](llava::Config&) {}},
    {"gelu, two blocks and the class token",
     [](llava::Config& c) {
       c.vision.activation = "gelu";
       c.feature_layers = {-2, -1};
       c.class_token = true;
     }},
};

const std::vector<Choice> connectors{
    {"linear", [](llava::Config& c) { c.connector.kind = "linear"; }},
    {"mlp of 2", [](llava::Config&) {}},
    {"mlp of 3", [](llava::Config& c) { c.connector.layers = 3; }},
};

const std::vector<Choice> decoders{
    {"llama", [](llava::Config&) {}},
    {"llama, all heads, biases",
     [](llava::Config& c) {
       c.language.kv_heads = 4;
       c.language.attention_bias = c.language.mlp_bias = true;
     }},
    {"llama, tied", [](llava::Config& c) { c.language.tied = true; }},
    {"qwen2", [](llava::Config& c) { c.language.kind = "qwen2"; }},
    {"qwen2, tied, windows",
     [](llava::Config& c) {
       c.language.kind = "qwen2";
       c.language.tied = true;
       c.language.sliding = {4, 1};
     }},
};

constexpr std::int64_t image_token = 39;

llava::Config plain_config() {
  llava::Config config;
  config.vision.image_size = 8;
  config.vision.patch_size = 4;
  config.vision.width = 12;
  config.vision.layers = 3;
  config.vision.heads = 2;
  config.language.width = 16;
  config.language.layers = 2;
  config.language.heads = 4;
  config.language.kv_heads = 2;
  config.language.mlp = 20;
  config.language.vocab_size = 40;
  config.language.eos_ids = {2};
  config.image_id = image_token;
  return config;
}

// Two rows, a picture in each.
Batch pictured(std::int64_t places) {
  at::manual_seed(3);
  Batch batch;
  batch.positions = {0, 1};
  Tokens text;
  text.ids = at::randint(3, 38, {2, 14}, at::kLong);
  text.ids.slice(1, 1, 1 + places).fill_(image_token);
  text.mask = at::full({2, 14}, 1, at::kLong);
  text.labels = text.ids.masked_fill(text.ids.eq(image_token), -100);
  batch.text = text;
  Images images;
  images.pixels = at::randint(0, 256, {2, 3, 8, 8}, at::kByte);
  images.rows = at::tensor({0, 1}, at::kLong);
  batch.images = images;
  return batch;
}

at::Tensor loss_of(llava::LlavaModel& model, const Batch& batch) {
  return model.losses(batch, {.weights = {{"lm", 1}}}, StepContext()).at("lm").sum;
}

void check_combination(const llava::Config& config) {
  llava::LlavaModel model(config, Key(7));
  const Batch batch = pictured(config.picture_tokens());
  const at::Tensor loss = loss_of(model, batch);
  REQUIRE(at::isfinite(loss).item<bool>());
  torch::autograd::backward({loss}, {});
  int connected = 0, spoken = 0;
  for (const auto& [name, parameter] : model.parameters()) {
    const bool connects = name.starts_with("multi_modal_projector.");
    if (!connects && !name.starts_with("language_model.")) continue;
    INFO(name);
    REQUIRE(parameter.grad().defined());
    REQUIRE(at::isfinite(parameter.grad()).all().item<bool>());
    if (connects && name.ends_with("weight")) {
      CHECK(parameter.grad().abs().max().item<float>() > 0);
    }
    (connects ? connected : spoken) += 1;
  }
  CHECK(connected == 2 * (config.connector.kind == "linear" ? 1 : config.connector.layers));
  CHECK(spoken > 10);

  // Out and in again, as `tandem export` and any reader of the directory do.
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, parameter] : model.parameters()) weights[name] = parameter.detach();
  const auto settings = llava::from_config_json(llava::to_config_json(config));
  llava::fit_weights(*settings, weights);
  const llava::Config& read = llava::config_of(*settings);
  CHECK(read.connector.kind == config.connector.kind);
  CHECK(read.language.kind == config.language.kind);
  CHECK(read.picture_tokens() == config.picture_tokens());
  llava::LlavaModel again(read, Key(8));
  assign_weights(again, llava::import_weights(weights, *settings));
  CHECK(at::equal(loss_of(again, batch), loss));
}

}  // namespace

TEST_CASE("LLaVA: every tower goes with every connector and every decoder") {
  for (const auto& [tower, set_tower] : towers) {
    for (const auto& [connector, set_connector] : connectors) {
      for (const auto& [decoder, set_decoder] : decoders) {
        CAPTURE(tower, connector, decoder);
        llava::Config config = plain_config();
        set_tower(config);
        set_connector(config);
        set_decoder(config);
        REQUIRE(llava::problems(config).empty());
        check_combination(config);
      }
    }
  }
}

}  // namespace llava_combinations_test
