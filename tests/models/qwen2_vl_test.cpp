// Facts of the structure; outputs against transformers are in tests/jobs/qwen2_vl_verify_test.cpp.

#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "models/qwen2_vl/model.h"
#include "models/qwen2_vl/weights.h"
#include "tandem/base/error.h"
#include "tandem/models/adapters.h"
#include "tandem/objectives/token_loss.h"

namespace qwen2_vl_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::models::qwen2_vl;

namespace {

constexpr std::int64_t image_id = 40, video_id = 41;

Config tiny(Version version, bool tied = true) {
  Config config(version);
  config.vision.width = 16;
  config.vision.layers = 2;
  config.vision.heads = 2;
  config.vision.mlp = 24;
  config.vision.patch.patch = 2;
  config.vision.window = 8;
  config.vision.full_attention = {1};
  config.text.width = 16;
  config.text.layers = 2;
  config.text.heads = 2;
  config.text.kv_heads = 1;
  config.text.mlp = 24;
  config.text.vocab_size = 44;
  config.text.sections = {1, 1, 2};
  config.text.tied = tied;
  config.marks = {image_id, video_id, 42, 43, 2, 0};
  return config;
}

// Values that show: the initial ones are too small to tell activations apart.
Tower random_tower(const VisionConfig& config, Version version) {
  at::manual_seed(7);
  Tower tower(config, version, 16);
  const at::NoGradGuard no_grad;
  for (at::Tensor& p : tower.parameters()) p.copy_(at::randn(p.sizes()) * 0.3);
  return tower;
}

at::Tensor patches_of(const std::vector<Grid>& grids) {
  std::int64_t count = 0;
  for (const Grid& grid : grids) count += grid.patches();
  at::manual_seed(3);
  return at::randn({count, 24});
}

at::Tensor run(const Tower& tower, const at::Tensor& patches, const std::vector<Grid>& grids) {
  const at::NoGradGuard no_grad;
  return tower.forward(patches, grids, {});
}

// Two samples: a word, a picture of 2 x 3 cells and words; words alone.
Batch make_batch() {
  at::manual_seed(5);
  Batch batch;
  batch.positions = {0, 1};
  PackedPatches patches;
  patches.patches = at::randint(0, 256, {24, 24}, at::kByte);
  patches.grid_thw = at::tensor({1, 4, 6}, at::kLong).view({1, 3});
  patches.cu_seqlens = at::tensor({0, 24}, at::kInt);
  batch.patches = patches;
  Tokens text;
  text.ids = at::randint(3, 39, {2, 11}, at::kLong);
  text.ids[0].slice(0, 2, 8).fill_(image_id);
  text.mask = at::ones_like(text.ids);
  text.labels = text.ids.clone();
  text.labels[0].slice(0, 0, 8).fill_(-100);
  Visuals visuals{.images = grids_of(patches.grid_thw)};
  const PositionRule rule = tiny(Version::two).position_rule();
  std::vector<at::Tensor> rows;
  for (std::int64_t row = 0; row < 2; ++row) {
    const at::Tensor ids = text.ids[row].contiguous();
    rows.push_back(
        tensor_of(token_positions({ids.const_data_ptr<std::int64_t>(), 11}, visuals, rule)));
  }
  text.positions = at::cat(rows, 1);
  batch.text = text;
  return batch;
}

}  // namespace

TEST_CASE("Qwen2.5-VL: with full attention everywhere the order of windows does not matter") {
  VisionConfig config = tiny(Version::two_five).vision;
  config.full_attention = {0, 1};
  const std::vector<Grid> grids{{1, 6, 10}, {2, 4, 2}};
  const at::Tensor patches = patches_of(grids);
  const Tower small = random_tower(config, Version::two_five);
  config.window = 1024;
  const Tower large = random_tower(config, Version::two_five);
  CHECK(at::allclose(run(small, patches, grids), run(large, patches, grids), 1e-5, 1e-5));
  config.window = 8;
  config.full_attention = {};
  const Tower windowed = random_tower(config, Version::two_five);
  CHECK_FALSE(at::allclose(run(windowed, patches, grids), run(large, patches, grids), 1e-3, 1e-3));
}

TEST_CASE("Qwen2-VL: a picture's tokens do not depend on what is packed with it, nor do slices") {
  for (const Version version : {Version::two, Version::two_five}) {
    const Tower tower = random_tower(tiny(version).vision, version);
    const std::vector<Grid> grids{{1, 4, 6}, {2, 4, 4}};
    const at::Tensor patches = patches_of(grids);
    const at::Tensor both = run(tower, patches, grids);
    const at::Tensor first = run(tower, patches.narrow(0, 0, 24), {grids[0]});
    const at::Tensor slice = run(tower, patches.narrow(0, 24, 16), {{1, 4, 4}});
    CHECK(at::allclose(both.narrow(0, 0, 6), first, 1e-5, 1e-5));
    CHECK(at::allclose(both.narrow(0, 6, 4), slice, 1e-5, 1e-5));
  }
}

TEST_CASE("Qwen2-VL: the loss is the mean over learned tokens, and frozen parts get no gradient") {
  for (const Version version : {Version::two, Version::two_five}) {
    for (const bool tied : {true, false}) {
      Qwen2VlModel model(tiny(version, tied), Key(3));
      model.train(true);
      const Batch batch = make_batch();
      const LossRequest request{.weights = {{"lm", 1}}};
      const double count = model.counts(batch, request).at("lm");
      CHECK(count == 3 + 10);
      const LossTerms terms = model.losses(batch, request, {});
      CHECK(terms.at("lm").count == count);
      CHECK((terms.at("lm").sum / count).item<double>() == Approx(std::log(44)).epsilon(0.05));
      torch::autograd::backward({terms.at("lm").sum}, {});
      for (const auto& [name, p] : model.parameters()) {
        CAPTURE(name);
        CHECK(p.grad().defined());
        CHECK(p.grad().abs().sum().item<double>() >= 0);
      }
    }
  }
}

TEST_CASE("Qwen2-VL: recomputed blocks give the same gradients") {
  const Batch batch = make_batch();
  std::vector<at::Tensor> gradients;
  for (const bool recompute : {false, true}) {
    Qwen2VlModel model(tiny(Version::two_five), Key(3));
    model.train(true);
    StepContext context;
    context.recompute = recompute;
    const LossTerms terms = model.losses(batch, {.weights = {{"lm", 1}}}, context);
    torch::autograd::backward({terms.at("lm").sum}, {});
    std::vector<at::Tensor> flat;
    for (const auto& [name, p] : model.parameters()) flat.push_back(p.grad().flatten());
    gradients.push_back(at::cat(flat));
  }
  CHECK(at::equal(gradients[0], gradients[1]));
}

namespace {

// The same prompts with other answers.
Batch make_preferences() {
  Batch batch = make_batch();
  at::manual_seed(9);
  Tokens other = *batch.text;
  other.ids = other.ids.clone();
  other.ids.slice(1, 8, 11).copy_(at::randint(3, 39, {2, 3}, at::kLong));
  batch.text->labels = at::full_like(other.ids, -100);
  batch.text->labels.slice(1, 8, 11).copy_(batch.text->ids.slice(1, 8, 11));
  other.labels = at::full_like(other.ids, -100);
  other.labels.slice(1, 8, 11).copy_(other.ids.slice(1, 8, 11));
  batch.rejected = other;
  return batch;
}

void freeze(Model& model, const std::string& part) {
  for (const auto& [name, p] : model.parameters()) {
    if (name.starts_with(part)) at::Tensor(p).set_requires_grad(false);
  }
}

double dpo_of(Qwen2VlModel& model, const Batch& batch) {
  const LossTerms terms = model.losses(batch, {.weights = {{"dpo", 1}}}, {});
  CHECK(terms.at("dpo").count == 2);
  return terms.at("dpo").sum.item<double>() / 2;
}

}  // namespace

TEST_CASE("Qwen2.5-VL: dpo against a copy begins at ln 2, and the copy stays") {
  Config config = tiny(Version::two_five, /*tied=*/false);
  config.preference.reference = "copy";
  Qwen2VlModel model(config, Key(3));
  const Batch batch = make_preferences();
  CHECK_THROWS_AS(dpo_of(model, batch), Error);  // the tower learns
  freeze(model, "visual.");
  CHECK(dpo_of(model, batch) == Approx(std::log(2)));
  CHECK(model.counts(batch, {.weights = {{"dpo", 1}}}).at("dpo") == 2);
  CHECK_THROWS_AS(model.counts(make_batch(), {.weights = {{"dpo", 1}}}), Error);
  // A step against the gradient prefers the chosen answers.
  torch::autograd::backward({model.losses(batch, {.weights = {{"dpo", 1}}}, {}).at("dpo").sum}, {});
  {
    const at::NoGradGuard no_grad;
    for (const auto& [name, p] : model.parameters()) {
      if (p.grad().defined()) at::Tensor(p).sub_(p.grad(), 0.5);
    }
  }
  CHECK(dpo_of(model, batch) < std::log(2) - 1e-4);
  // What an evaluation is told agrees with the loss.
  const Preferred made = model.abilities().prefer(batch);
  const at::Tensor h =
      (made.chosen - made.rejected) - (made.reference_chosen - made.reference_rejected);
  CHECK(at::log_sigmoid(h * made.beta).neg().mean().item<double>() ==
        Approx(dpo_of(model, batch)).epsilon(1e-5));
  CHECK(made.divergence.min().item<double>() > 0);
  std::set<std::string> names;
  for (const auto& [name, tensor] : model.buffers()) {
    CHECK_FALSE(tensor.requires_grad());
    names.insert(name);
  }
  CHECK(names.contains("reference.lm_head.weight"));
  CHECK(names.contains("reference.model.layers.0.self_attn.q_proj.bias"));
  CHECK(names.size() == 2 + 1 + 2 * 12);  // the table, the head, the last norm, the layers
}

TEST_CASE(
    "Qwen2.5-VL: a copy that a file does not have starts as the model, and exports leave it") {
  Config config = tiny(Version::two_five);
  const Weights file{{"model.norm.weight", at::ones({1})}, {"visual.x", at::zeros({1})}};
  config.preference.reference = "copy";
  const Weights begun = import_weights(file, config);
  CHECK(begun.size() == 3);
  CHECK(begun.contains("reference.model.norm.weight"));
  CHECK(import_weights(begun, config).size() == 3);
  config.preference.reference = "adapters";
  CHECK(import_weights(begun, config).size() == 2);
}

TEST_CASE("Qwen2.5-VL: dpo against the model without its adapters") {
  Qwen2VlModel model(tiny(Version::two_five), Key(3));
  const Batch batch = make_preferences();
  CHECK_THROWS_AS(dpo_of(model, batch), Error);  // there is none
  attach_adapters(
      model,
      {{"model.layers.0.self_attn.q_proj", 2, 1.0, 0.0}, {"visual.blocks.0.attn.qkv", 2, 1.0, 0.0}},
      Key(1));
  for (const auto& [name, p] : model.parameters()) {
    at::Tensor(p).set_requires_grad(name.find("lora_") != std::string::npos);
  }
  CHECK(dpo_of(model, batch) == Approx(std::log(2)));
  {
    const at::NoGradGuard no_grad;
    for (const auto& [name, p] : model.parameters()) {
      if (name.ends_with("lora_B.weight")) at::Tensor(p).copy_(at::randn(p.sizes()));
    }
  }
  CHECK(std::abs(dpo_of(model, batch) - std::log(2)) > 1e-5);
  freeze(model, "model.norm");
  at::Tensor(model.parameters()[0].second).set_requires_grad(true);
  CHECK_THROWS_AS(dpo_of(model, batch), Error);  // something beside them learns
}

TEST_CASE("Qwen2-VL: a reply written with the cache is the likeliest one without it") {
  const Config config = tiny(Version::two_five, /*tied=*/false);
  Qwen2VlModel model(config, Key(4));
  model.train(false);
  {
    const at::NoGradGuard no_grad;
    at::manual_seed(11);
    for (const auto& [name, p] : model.parameters()) {
      if (p.dim() > 1) at::Tensor(p).copy_(at::randn(p.sizes()) * 0.3);
    }
  }
  Batch batch = make_batch();
  // The second prompt is three tokens shorter and padded on the left.
  Tokens& text = *batch.text;
  text.ids[1].slice(0, 0, 3).fill_(0);
  text.mask[1].slice(0, 0, 3).fill_(0);
  text.positions.select(1, 1).slice(1, 0, 3).fill_(0);
  text.positions.select(1, 1).slice(1, 3, 11).sub_(3);
  GenerateOptions options;
  options.max_length = 9;
  const auto replies = model.abilities().generate(batch, options);
  REQUIRE(replies.size() == 2);
  const nn::PixelStatistics statistics{{0.48145466, 0.4578275, 0.40821073},
                                       {0.26862954, 0.26130258, 0.27577711}};
  const at::Tensor pixels =
      nn::normalize_pixels(batch.patches->patches.view({24, 3, 4, 2}), statistics).flatten(1);
  at::Tensor ids = text.ids, mask = text.mask;
  for (std::size_t step = 0; step < 9; ++step) {
    const auto outputs = model.reference_outputs({{"input_ids", ids},
                                                  {"attention_mask", mask},
                                                  {"pixel_values", pixels},
                                                  {"image_grid_thw", batch.patches->grid_thw}});
    const at::Tensor next = outputs.at("logits").select(1, -1).argmax(1);
    for (std::size_t row = 0; row < 2; ++row) {
      if (step < replies[row].size()) {
        CHECK(next[static_cast<std::int64_t>(row)].item<std::int64_t>() == replies[row][step]);
      }
    }
    ids = at::cat({ids, next.unsqueeze(1)}, 1);
    mask = at::cat({mask, at::ones({2, 1}, at::kLong)}, 1);
  }
}

TEST_CASE("Qwen2-VL: places without pictures are refused before anything runs") {
  Qwen2VlModel model(tiny(Version::two), Key(1));
  Batch batch = make_batch();
  batch.patches.reset();
  CHECK_THROWS_AS(model.counts(batch, {}), Error);
}

TEST_CASE("Qwen2-VL: names of transformers 5 and of the hub, a tied output matrix once") {
  const Config config = tiny(Version::two);
  const at::Tensor one = at::ones({1}), two = at::zeros({1});
  const Weights weights = import_weights({{"model.visual.merger.ln_q.weight", one},
                                          {"model.language_model.norm.weight", one},
                                          {"model.language_model.embed_tokens.weight", two},
                                          {"lm_head.weight", two}},
                                         config);
  CHECK(weights.size() == 3);
  CHECK(weights.contains("visual.merger.ln_q.weight"));
  CHECK(weights.contains("model.norm.weight"));
  CHECK(weights.contains("model.embed_tokens.weight"));
  const Config untied = tiny(Version::two, false);
  CHECK(import_weights({{"lm_head.weight", two}}, untied).contains("lm_head.weight"));
}

TEST_CASE("Qwen2-VL: config.json is read as it is written, by both versions") {
  for (const Version version : {Version::two, Version::two_five}) {
    Config config = tiny(version, version == Version::two);
    config.rope_after_video = "transformers5";
    config.tokens_per_second = 3;
    const std::string json = to_config_json(config);
    const auto read = from_config_json(version, json);
    CHECK(to_config_json(*read) == json);
    CHECK(config_of(*read).vision.hidden() == 24);
    CHECK(config_of(*read).text.tied == config.text.tied);
    CHECK(config_of(*read).marks.image == image_id);
  }
  CHECK_THROWS_AS(from_config_json(Version::two, R"({"hidden_size": 16})"), Error);
}

TEST_CASE("Qwen2-VL: the levels of chance are those of guessing, and an untrained model is there") {
  for (const Version version : {Version::two, Version::two_five}) {
    Qwen2VlModel model(tiny(version), Key(3));
    const auto levels = model.chance_levels(8);
    CHECK(levels.at("lm").value == Approx(std::log(44.0)));
    CHECK(levels.at("dpo").value == Approx(std::log(2.0)));
    const LossTerm term = model.losses(make_batch(), {.weights = {{"lm", 1}}}, {}).at("lm");
    CHECK(term.sum.item<double>() / term.count == Approx(levels.at("lm").value).epsilon(0.05));
    Config config = tiny(version);
    config.preference.kind = "ipo";  // a square has no such level
    CHECK_FALSE(Qwen2VlModel(config, Key(3)).chance_levels(8).contains("dpo"));
  }
}

}  // namespace qwen2_vl_test
