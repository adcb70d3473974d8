// Every tower with every connector with every decoder that a config can say: forward, backward, out
// to files' names and back, in a pack, and written with a cache as without.

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../support/temporary.h"
#include "models/llava/config.h"
#include "models/llava/model.h"
#include "models/llava/weights.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/models/weights.h"
#include "tandem/tensor/safetensors.h"

namespace llava_combinations_test {

using namespace tandem;
using namespace tandem::models;

namespace {

using Choice = std::pair<std::string, std::function<void(llava::Config&)>>;

const std::vector<Choice> towers{
    {"clip, quick_gelu, the second-last block", [](llava::Config&) {}},
    {"clip, gelu, two blocks and the class token",
     [](llava::Config& c) {
       c.vision.activation = "gelu";
       c.feature_layers = {-2, -1};
       c.class_token = true;
     }},
    {"eva", [](llava::Config& c) { c.vision.kind = "eva"; }},
    {"eva without biases, two blocks and the class token",
     [](llava::Config& c) {
       c.vision.kind = "eva";
       c.vision.eva.qkv_bias = false;
       c.feature_layers = {1, -1};
       c.class_token = true;
     }},
};

// With the number of tensors that it has.
struct ConnectorChoice {
  std::string name;
  int tensors;
  std::function<void(llava::Config&)> set;
};

const std::vector<ConnectorChoice> connectors{
    {"linear", 2, [](llava::Config& c) { c.connector.kind = "linear"; }},
    {"mlp of 2", 4, [](llava::Config&) {}},
    {"mlp of 3", 6, [](llava::Config& c) { c.connector.layers = 3; }},
    {"resampler", 10,
     [](llava::Config& c) {
       c.connector.kind = "resampler";
       c.connector.resampler = {.grid = 3, .heads = 2};
     }},
    {"qformer", 2 + 1 + 2 + 26 + 16 + 2,
     [](llava::Config& c) {
       c.connector.kind = "qformer";
       c.connector.qformer = {.queries = 3, .width = 8, .layers = 2, .heads = 2, .mlp = 12};
     }},
};

void set_opt(llava::Config& c) {
  c.language.kind = "opt";
  c.language.kv_heads = 0;
  c.language.context_length = 32;
}

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
    {"opt", set_opt},
    {"opt, tied, norms behind, words of another width",
     [](llava::Config& c) {
       set_opt(c);
       c.language.tied = true;
       c.language.opt.word_width = 20;
       c.language.opt.norm_before = c.language.opt.bias = false;
     }},
};

constexpr std::int64_t image_token = 40;  // behind the table of words: it is never written

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
  config.language.bos_id = 1;
  config.image_id = image_token;
  return config;
}

constexpr std::int64_t length = 14;

// Two rows, a picture in each.
Batch pictured(std::int64_t places) {
  at::manual_seed(3);
  Batch batch;
  batch.positions = {0, 1};
  Tokens text;
  text.ids = at::randint(3, 38, {2, length}, at::kLong);
  text.ids.slice(1, 1, 1 + places).fill_(image_token);
  text.mask = at::full({2, length}, 1, at::kLong);
  text.labels = text.ids.masked_fill(text.ids.eq(image_token), -100);
  text.labels.select(1, 0).fill_(-100);
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

void check_gradients(const llava::LlavaModel& model, int tensors) {
  int connected = 0, spoken = 0;
  for (const auto& [name, parameter] : model.parameters()) {
    INFO(name);
    if (name.starts_with("vision_tower.")) {
      // What the blocks that are seen begin with.
      if (name.find("class_embedding") == std::string::npos) continue;
      REQUIRE(parameter.grad().defined());
      CHECK(parameter.grad().abs().max().item<float>() > 0);
      continue;
    }
    const bool connects = name.starts_with("multi_modal_projector.");
    REQUIRE((connects || name.starts_with("language_model.")));
    REQUIRE(parameter.grad().defined());
    REQUIRE(at::isfinite(parameter.grad()).all().item<bool>());
    if (connects && name.ends_with("weight")) {
      CHECK(parameter.grad().abs().max().item<float>() > 0);
    }
    (connects ? connected : spoken) += 1;
  }
  CHECK(connected == tensors);
  CHECK(spoken > 10);
}

// Out and in again, as `tandem export` and any reader of the directory do.
void check_files(const llava::LlavaModel& model, const llava::Config& config, const Batch& batch,
                 const at::Tensor& loss) {
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, parameter] : model.parameters()) weights[name] = parameter.detach();
  const std::string json = llava::to_config_json(config);
  const auto settings = llava::from_config_json(json);
  llava::fit_weights(*settings, weights);
  const llava::Config& read = llava::config_of(*settings);
  CHECK(read.vision.kind == config.vision.kind);
  CHECK(read.connector.kind == config.connector.kind);
  CHECK(read.language.kind == config.language.kind);
  CHECK(read.picture_tokens() == config.picture_tokens());
  CHECK(llava::to_config_json(read) == json);
  llava::LlavaModel again(read, Key(8));
  assign_weights(again, llava::import_weights(weights, *settings));
  CHECK(at::equal(loss_of(again, batch), loss));
}

// Both rows laid end to end.
void check_pack(llava::LlavaModel& model, Batch batch, const at::Tensor& loss) {
  Tokens& text = *batch.text;
  for (at::Tensor* part : {&text.ids, &text.labels, &text.mask}) {
    *part = part->reshape({1, 2 * length});
  }
  text.positions = at::arange(length, at::kLong).repeat({2}).unsqueeze(0);
  text.segments = at::arange(2, at::kLong).repeat_interleave(length).unsqueeze(0);
  CHECK(loss_of(model, batch).item<double>() == Approx(loss.item<double>()).epsilon(1e-5));
}

constexpr std::int64_t reply = 5;

// The likeliest words, each after a pass over all that stands before it.
std::vector<std::vector<std::int64_t>> without_cache(llava::LlavaModel& model,
                                                     const llava::Config& config,
                                                     const Batch& prompts) {
  const at::NoGradGuard no_grad;
  const at::Tensor pixels =
      nn::normalize_pixels(prompts.images->pixels, statistics_of(config.image));
  at::Tensor ids = prompts.text->ids;
  for (std::int64_t i = 0; i < reply; ++i) {
    const at::Tensor logits =
        model.reference_outputs({{"input_ids", ids}, {"pixel_values", pixels}}).at("logits");
    ids = at::cat({ids, logits.select(1, logits.size(1) - 1).argmax(-1, /*keepdim=*/true)}, 1);
  }
  std::vector<std::vector<std::int64_t>> replies;
  for (std::int64_t i = 0; i < ids.size(0); ++i) {
    replies.emplace_back();
    for (std::int64_t j = length; j < length + reply; ++j) {
      replies.back().push_back(ids[i][j].item<std::int64_t>());
    }
  }
  return replies;
}

void check_replies(llava::LlavaModel& model, const llava::Config& config, const Batch& prompts) {
  GenerateOptions options;
  options.max_length = reply;
  const auto wanted = without_cache(model, config, prompts);
  CHECK(model.abilities().generate(prompts, options) == wanted);
  Batch padded = prompts;
  const at::Tensor none = at::zeros({2, 3}, at::kLong);
  padded.text->ids = at::cat({none, padded.text->ids}, 1);
  padded.text->mask = at::cat({none, padded.text->mask}, 1);
  CHECK(model.abilities().generate(padded, options) == wanted);
}

void check_combination(const llava::Config& config, int tensors) {
  llava::LlavaModel model(config, Key(7));
  const Batch batch = pictured(config.picture_tokens());
  const at::Tensor loss = loss_of(model, batch);
  REQUIRE(at::isfinite(loss).item<bool>());
  torch::autograd::backward({loss}, {});
  check_gradients(model, tensors);
  check_files(model, config, batch, loss);
  check_pack(model, batch, loss);
  check_replies(model, config, batch);
}

}  // namespace

TEST_CASE("LLaVA: every tower goes with every connector and every decoder") {
  for (const auto& [tower, set_tower] : towers) {
    for (const ConnectorChoice& connector : connectors) {
      for (const auto& [decoder, set_decoder] : decoders) {
        CAPTURE(tower, connector.name, decoder);
        llava::Config config = plain_config();
        set_tower(config);
        connector.set(config);
        set_decoder(config);
        const Problems found = llava::problems(config);
        if (config.class_token && connector.name == "resampler") {
          REQUIRE(found.size() == 1);
          CHECK(found[0].first == "class_token");
          continue;
        }
        REQUIRE(found.empty());
        check_combination(config, connector.tensors);
      }
    }
  }
}

namespace {

// EVA's tower, queries and OPT.
llava::Config of_blip2_parts() {
  llava::Config config = plain_config();
  config.vision.kind = "eva";
  config.connector.kind = "qformer";
  config.connector.qformer = {.queries = 3, .width = 8, .layers = 2, .heads = 2, .mlp = 12};
  set_opt(config);
  return config;
}

}  // namespace

TEST_CASE("LLaVA: a tower of BLIP-2's and an OPT begin as their folders have them") {
  const testing::TemporaryDirectory tower, words;
  const llava::LlavaModel theirs(of_blip2_parts(), Key(1));
  const std::string in_tower = "vision_tower.", in_words = "language_model.";
  NamedTensors of_tower, of_words;
  std::map<std::string, at::Tensor> all;
  for (const auto& [name, value] : theirs.parameters()) {
    all[name] = value.detach();
    if (name.starts_with(in_tower)) {
      of_tower.emplace_back(name.substr(in_tower.size()), value.detach());
    } else if (name.starts_with(in_words)) {
      of_words.emplace_back(name.substr(in_words.size()), value.detach());
    }
  }
  REQUIRE(of_tower.front().first.starts_with("vision_model."));
  REQUIRE(of_words.front().first == "model.decoder.embed_tokens.weight");
  save_safetensors(tower.path() / "model.safetensors", of_tower, {});
  save_safetensors(words.path() / "model.safetensors", of_words, {});
  llava::Config config = of_blip2_parts();
  config.vision_pretrained = tower.path().string();
  config.language_pretrained = words.path().string();
  const llava::LlavaModel model(config, Key(2));
  for (const auto& [name, value] : model.parameters()) {
    INFO(name);
    if (!name.starts_with("multi_modal_projector.")) CHECK(at::equal(value, all.at(name)));
  }
}

TEST_CASE("LLaVA: preferences on OPT are compared with its frozen copy") {
  llava::Config config = of_blip2_parts();
  config.preference.reference = "copy";
  config.preference.beta = 1;
  llava::LlavaModel model(config, Key(1));
  for (const auto& [name, parameter] : model.parameters()) {
    at::Tensor(parameter).set_requires_grad(name.starts_with("language_model."));
  }
  Batch batch = pictured(config.picture_tokens());
  Tokens other = *batch.text;
  other.ids = other.ids.clone();
  other.ids.slice(1, length - 3).copy_(at::randint(3, 38, {2, 3}, at::kLong));
  other.labels = other.ids.masked_fill(other.ids.eq(image_token), -100);
  batch.rejected = other;
  const auto loss = [&] {
    return model.losses(batch, {.weights = {{"dpo", 1}}}, StepContext()).at("dpo").sum;
  };
  CHECK(loss().item<double>() == Approx(2 * std::log(2.0)));
  REQUIRE_FALSE(model.buffers().empty());
  {
    const at::NoGradGuard no_grad;
    for (const auto& [name, parameter] : model.parameters()) {
      if (name.starts_with("language_model.")) at::Tensor(parameter).mul_(1.5);
    }
  }
  CHECK(loss().item<double>() != Approx(2 * std::log(2.0)).epsilon(1e-3));
  for (const auto& [name, buffer] : model.buffers()) {
    INFO(name);
    CHECK(name.starts_with("reference.language_model."));
    CHECK_FALSE(buffer.requires_grad());
  }
}

TEST_CASE("LLaVA: what cannot stand in it is refused by name") {
  const auto with = [](const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json root = nlohmann::json::parse(llava::to_config_json(of_blip2_parts()));
    change(root);
    return root.dump();
  };
  const auto refused = [&](const std::function<void(nlohmann::json&)>& change, const char* what) {
    CHECK_THROWS_WITH(llava::from_config_json(with(change)), Catch::Contains(what));
  };
  refused([](nlohmann::json& c) { c["text_config"]["model_type"] = "t5"; }, "llama, qwen2 or opt");
  refused([](nlohmann::json& c) { c["vision_config"]["model_type"] = "qwen2_vl"; },
          "a fixed number of rows");
  refused([](nlohmann::json& c) { c["tandem"]["connector"]["kind"] = "perceiver"; },
          "tandem.connector.kind");
  refused([](nlohmann::json& c) { c["vision_config"]["hidden_act"] = "bent"; }, "hidden_act");
  refused([](nlohmann::json& c) { c["text_config"]["activation_function"] = "bent"; },
          "activation_function");

  const auto wrong = [](const char* field, const std::function<void(llava::Config&)>& change) {
    llava::Config config = of_blip2_parts();
    change(config);
    const Problems found = llava::problems(config);
    INFO(field);
    REQUIRE(found.size() == 1);
    CHECK(found[0].first == field);
  };
  wrong("language.kv_heads", [](llava::Config& c) { c.language.kv_heads = 2; });
  wrong("language.head_dim", [](llava::Config& c) { c.language.head_dim = 8; });
  wrong("language.window", [](llava::Config& c) { c.language.sliding.window = 4; });
  wrong("language.rope_scaling", [](llava::Config& c) { c.language.scaled = true; });
  wrong("connector.qformer.heads", [](llava::Config& c) { c.connector.qformer.heads = 3; });
  wrong("connector.kind", [](llava::Config& c) {
    c.connector.kind = "resampler";
    c.language.opt.word_width = 18;
  });
  wrong("language.opt.word_width", [](llava::Config& c) {
    c.language.kind = "llama";
    c.language.opt.word_width = 8;
  });

  llava::Config config = of_blip2_parts();
  config.language.context_length = length - 1;  // OPT's positions are a table
  llava::LlavaModel model(config, Key(1));
  CHECK_THROWS_WITH(loss_of(model, pictured(config.picture_tokens())),
                    Catch::Contains("expected at most 13 tokens"));
}

}  // namespace llava_combinations_test
