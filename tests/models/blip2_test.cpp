// Facts of BLIP-2's structure; outputs against the originals are in
// tests/jobs/blip2_verify_test.cpp.

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "../support/errors.h"
#include "../support/fixtures.h"
#include "../support/temporary.h"
#include "models/blip2/batch.h"
#include "models/blip2/model.h"
#include "models/blip2/weights.h"
#include "support.h"
#include "tandem/base/error.h"
#include "tandem/models/weights.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/init.h"
#include "tandem/tensor/safetensors.h"

namespace blip2_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::testing;

namespace {

blip2::Config tiny(const std::string& kind = "pretrain", const std::string& language = "opt") {
  blip2::Config config;
  config.kind = kind;
  set_picture(config.vision);
  set_size(config.vision, 12, 1);
  set_size(config.qformer, 16, 3);
  set_words(config.qformer, 50, 12, 1);
  config.qformer.queries = 4;
  config.qformer.sep_id = 2;
  config.qformer.bos_id = 49;
  config.language.kind = language;
  set_size(config.language, 16, 2);
  config.language.head_width = 8;
  config.language.positions = 32;
  config.language.vocab_size = 50;
  config.language.bos_id = 1;
  config.language.eos_id = 2;
  config.language.pad_id = config.language.start_id = 0;
  config.language.dropout = 0;
  config.embed_dim = 8;
  return config;
}

Tokens texts(std::int64_t rows, std::int64_t length) {
  at::Tensor ids = at::randint(3, 47, {rows, length}, at::kLong), mask = at::ones_like(ids);
  ids.select(1, 0).fill_(1);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t end = length - 1 - i % 3;
    ids[i][end] = 2;
    ids[i].narrow(0, end + 1, length - 1 - end).fill_(0);
    mask[i].narrow(0, end + 1, length - 1 - end).fill_(0);
  }
  return {ids, mask, {}, {}, {}};
}

Batch make_batch(std::int64_t rows, bool answers = false) {
  at::manual_seed(3);
  Batch batch;
  batch.images = Images{at::randint(0, 256, {rows, 3, 16, 16}, at::kByte), {}};
  batch.text = texts(rows, 7);
  batch.picture_ids = at::arange(rows, at::kLong);
  for (std::int64_t i = 0; i < rows; ++i) batch.positions.push_back(i);
  if (answers) {
    batch.answers = texts(rows, 5);
    batch.answers->labels = batch.answers->ids.masked_fill(batch.answers->mask.eq(0), -100);
  }
  return batch;
}

StepContext step_of(std::uint64_t key) {
  StepContext context;
  context.key = Key(key);
  return context;
}

const LossRequest all_losses{{{"itc", 1.0}, {"itm", 1.0}, {"lm", 1.0}, {"prefix_lm", 1.0}}};

// Small values everywhere, so that nothing passes because it is zero.
void disturb(Model& model) {
  const at::NoGradGuard no_grad;
  at::manual_seed(5);
  for (const auto& [name, tensor] : model.parameters()) {
    if (name != "temp") at::Tensor(tensor).add_(at::randn(tensor.sizes()) * 0.1);
  }
}

}  // namespace

TEST_CASE("BLIP-2: text after kept queries is the one pass under the UniLM mask") {
  blip2::QFormerShape shape;
  shape.width = 16;
  shape.layers = 4;
  shape.heads = 2;
  shape.hidden = 24;
  shape.image_width = 12;
  shape.dropout = shape.attention_dropout = 0;
  blip2::QFormer former(shape);
  for (auto& item : former.named_parameters()) {
    nn::fill_normal(item.value(), 0.3, Key(1), item.key());
  }
  at::manual_seed(1);
  const std::int64_t queries = 3, words = 5;
  const at::Tensor q = at::randn({2, queries, 16}).set_requires_grad(true);
  const at::Tensor w = at::randn({2, words, 16}), image = at::randn({2, 6, 12});
  at::Tensor seen = at::ones({2, words}, at::kLong);
  seen[1].narrow(0, 3, 2).fill_(0);
  const at::Tensor all = at::cat({at::ones({2, queries}, at::kLong), seen}, 1);

  blip2::LayerInputs kept;
  former.forward(q, queries, nn::no_mask(), image, {}, nullptr, &kept);
  const at::Tensor after = former.forward(w, 0, nn::decoder_mask(all, words), {}, {}, &kept);
  torch::autograd::backward({(after * seen.unsqueeze(-1)).square().sum()}, {});
  const at::Tensor gradient = q.grad().clone();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& p : former.parameters()) {
    gradients.push_back(p.grad().defined() ? p.grad().clone() : at::zeros(p.sizes()));
  }
  former.zero_grad();
  q.mutable_grad() = at::Tensor();

  // Queries see queries; a word sees the queries and the words up to itself.
  at::Tensor visible = at::zeros({2, queries + words, queries + words}, at::kBool);
  visible.narrow(2, 0, queries).fill_(true);
  visible.narrow(1, queries, words)
      .narrow(2, queries, words)
      .copy_(at::ones({words, words}, at::kBool).tril());
  visible = visible.logical_and(all.to(at::kBool).unsqueeze(1)).unsqueeze(1);
  nn::Mask mask;
  mask.bias = at::zeros(visible.sizes())
                  .masked_fill(visible.logical_not(), std::numeric_limits<float>::lowest());
  const at::Tensor once = former.forward(at::cat({q, w}, 1), queries, mask, image, {});
  const at::Tensor text = once.narrow(1, queries, words);
  CHECK(at::allclose(after, text, 1e-5, 1e-6));
  torch::autograd::backward({(text * seen.unsqueeze(-1)).square().sum()}, {});
  CHECK(at::allclose(q.grad(), gradient, 1e-4, 1e-5));
  std::size_t i = 0;
  for (const at::Tensor& p : former.parameters()) {
    if (p.grad().defined()) CHECK(at::allclose(p.grad(), gradients[i], 1e-4, 1e-5));
    ++i;
  }
}

TEST_CASE("BLIP-2: each parameter has one entry; words are tied") {
  for (const char* kind : {"pretrain", "generation", "retrieval", "model"}) {
    for (const char* language : {"opt", "t5"}) {
      blip2::Blip2Model model(tiny(kind, language), Key(1));
      std::set<const void*> storages;
      std::set<std::string> names;
      for (const auto& [name, tensor] : model.parameters()) {
        CHECK(storages.insert(tensor.unsafeGetTensorImpl()).second);
        names.insert(name);
      }
      CHECK(names.contains("vision_model.post_layernorm.weight"));
      CHECK(names.contains("qformer.encoder.layer.2.crossattention.attention.key.weight"));
      CHECK_FALSE(names.contains("qformer.encoder.layer.1.crossattention.attention.key.weight"));
      const bool text = std::string(kind) == "pretrain" || std::string(kind) == "retrieval";
      CHECK(names.contains("qformer.encoder.layer.0.intermediate.dense.weight") == text);
      CHECK(names.contains("cls.predictions.bias") == (std::string(kind) == "pretrain"));
      CHECK_FALSE(names.contains("cls.predictions.decoder.weight"));
      CHECK_FALSE(names.contains("language_model.lm_head.weight"));
    }
  }
}

TEST_CASE("BLIP-2: the query part of a layer begins as its text part") {
  blip2::Blip2 net(tiny());
  blip2::initialize(net, tiny(), Key(2));
  for (const auto& layer : net.qformer->layers) {
    CHECK(at::equal(layer->query_in->weight, layer->text_in->weight));
    CHECK(at::equal(layer->query_out->weight, layer->text_out->weight));
  }
  CHECK(net.temperature.item<double>() == Approx(0.07));
  CHECK(net.query_tokens.std().item<double>() == Approx(0.02).epsilon(0.3));
}

TEST_CASE("BLIP-2: losses of words over one batch are those over its parts") {
  for (const char* language : {"opt", "t5"}) {
    blip2::Blip2Model model(tiny("generation", language), Key(1));
    disturb(model);
    model.train(true);
    const Batch batch = make_batch(4, /*answers=*/true);
    const std::string name = model.losses_known().at(0);
    const double whole = model.losses(batch, all_losses, step_of(1)).at(name).sum.item<double>();
    double parts = 0, counts = 0;
    for (const std::int64_t first : {0, 1, 2, 3}) {
      const Batch part = rows_of(batch, first, 1);
      parts += model.losses(part, all_losses, step_of(1)).at(name).sum.item<double>();
      counts += model.counts(part, all_losses).at(name);
    }
    CHECK(whole == Approx(parts).epsilon(1e-5));
    CHECK(counts == model.counts(batch, all_losses).at(name));
    // OPT gives all words, the begin mark from the last query; T5 those of the end only.
    CHECK(counts == (name == "lm" ? batch.text->mask : batch.answers->mask).sum().item<double>());
  }
}

TEST_CASE("BLIP-2: without pictures the language model learns alone") {
  blip2::Blip2Model model(tiny("generation"), Key(1));
  Batch batch = make_batch(3);
  batch.images.reset();
  const LossTerms terms = model.losses(batch, all_losses, step_of(1));
  torch::autograd::backward({terms.at("lm").sum}, {});
  CHECK(model.counts(batch, all_losses).at("lm") ==
        batch.text->mask.sum().item<double>() - 3);  // nothing gives the begin mark
  for (const auto& [name, tensor] : model.parameters()) {
    if (tensor.grad().defined()) CHECK(name.starts_with("language_model."));
  }
}

TEST_CASE("BLIP-2: what is frozen gets no gradient and drops nothing") {
  blip2::Config config = tiny("generation");
  config.language.dropout = 0.5;
  blip2::Blip2Model model(config, Key(1));
  disturb(model);
  for (const auto& [name, tensor] : model.parameters()) {
    const bool frozen =
        name.starts_with("language_model.") ||
        (name.starts_with("vision_model.") && name.find("post_") == std::string::npos);
    at::Tensor(tensor).set_requires_grad(!frozen);
  }
  model.train(true);
  const Batch batch = make_batch(3);
  const at::Tensor once = model.losses(batch, all_losses, step_of(1)).at("lm").sum;
  CHECK(once.item<double>() ==
        model.losses(batch, all_losses, step_of(2)).at("lm").sum.item<double>());
  torch::autograd::backward({once}, {});
  for (const auto& [name, tensor] : model.parameters()) {
    CAPTURE(name);
    CHECK(tensor.grad().defined() == tensor.requires_grad());
  }
  for (const auto& [name, tensor] : model.parameters()) at::Tensor(tensor).set_requires_grad(true);
  CHECK(model.losses(batch, all_losses, step_of(1)).at("lm").sum.item<double>() !=
        model.losses(batch, all_losses, step_of(2)).at("lm").sum.item<double>());
}

TEST_CASE("BLIP-2: recomputed blocks give the same bits") {
  for (const char* kind : {"pretrain", "opt", "t5"}) {
    const bool first = std::string(kind) == "pretrain";
    blip2::Config config = tiny(first ? "pretrain" : "generation", first ? "opt" : kind);
    config.qformer.dropout = config.qformer.attention_dropout = config.language.dropout = 0.2;
    blip2::Blip2Model model(config, Key(1));
    disturb(model);
    model.train(true);
    const Batch batch = make_batch(3, /*answers=*/true);
    std::vector<std::map<std::string, at::Tensor>> gradients;
    for (const bool recompute : {false, true}) {
      StepContext context = step_of(4);
      context.recompute = recompute;
      at::Tensor total = at::zeros({});
      for (const auto& [name, term] : model.losses(batch, all_losses, context)) {
        total = total + term.sum;
      }
      torch::autograd::backward({total}, {});
      gradients.emplace_back();
      for (const auto& [name, tensor] : model.parameters()) {
        if (tensor.grad().defined()) gradients.back()[name] = tensor.grad().clone();
        at::Tensor(tensor).mutable_grad() = at::Tensor();
      }
    }
    REQUIRE(gradients[0].size() == gradients[1].size());
    for (const auto& [name, gradient] : gradients[0]) {
      CAPTURE(kind, name);
      CHECK(at::equal(gradient, gradients[1].at(name)));
    }
  }
}

TEST_CASE("BLIP-2: a frozen tower is run once a picture where its rows are kept") {
  const TemporaryDirectory folder;
  KeptSettings settings{.folder = folder.path().string(), .pictures = 20, .made_by = "cpu"};
  const Batch batch = make_batch(4);
  const auto losses_of = [&](blip2::Blip2Model& model) {
    std::map<std::string, double> values;
    for (const auto& [name, term] : model.losses(batch, all_losses, step_of(1))) {
      values[name] = term.sum.item<double>();
    }
    return values;
  };
  const auto made = [&](Key key) {
    auto model = std::make_unique<blip2::Blip2Model>(tiny(), key);
    disturb(*model);
    for (const auto& [name, tensor] : model->tower_part().weights) {
      at::Tensor(tensor).set_requires_grad(false);
    }
    model->train(true);
    return model;
  };
  const auto keep = [&](blip2::Blip2Model& model) {
    auto kept = std::make_shared<KeptTower>(settings, model.tower_part());
    model.keep_tower(kept);
    return kept;
  };
  const auto plain = made(Key(1));
  const auto expected = losses_of(*plain);
  const auto model = made(Key(1));
  const auto kept = keep(*model);
  CHECK(losses_of(*model) == expected);
  CHECK(kept->runs() == 4);
  CHECK(losses_of(*model) == expected);
  CHECK(kept->runs() == 4);
  CHECK(kept->asked() == 8);
  model->train(false);  // evaluations look at other pictures
  losses_of(*model);
  CHECK(kept->asked() == 8);
  // The next run, or the next stage, finds them; another tower has a file of its own.
  const auto next = made(Key(1));
  const auto found = keep(*next);
  CHECK(losses_of(*next) == expected);
  CHECK(found->runs() == 0);
  const auto other = made(Key(2));
  const auto fresh = keep(*other);
  losses_of(*other);
  CHECK(fresh->runs() == 4);
  settings.made_by = "cuda";
  const auto elsewhere = keep(*next);
  losses_of(*next);
  CHECK(elsewhere->runs() == 4);
  settings.half = true;
  const auto half = made(Key(1));
  keep(*half);
  const auto first = losses_of(*half);
  CHECK(losses_of(*half) == first);
  CHECK(first.at("itc") == Approx(expected.at("itc")).epsilon(0.02));
}

TEST_CASE("BLIP-2: a tower's part says its rows, what they follow from, and what is drawn anew") {
  blip2::Config config = tiny();
  const blip2::Blip2Model drawn(config, Key(1));
  const TowerPart part = drawn.tower_part();
  CHECK(part.rows == 1 + config.vision.shape().grid() * config.vision.shape().grid());
  CHECK(part.width == config.vision.width);
  for (const auto& [name, tensor] : part.weights) {
    CHECK(name.starts_with("vision_model."));
    CHECK(name.find("post_layernorm") == std::string::npos);
  }
  CHECK_FALSE(part.drawn_anew.empty());
  config.views = 3;
  CHECK(blip2::Blip2Model(config, Key(1)).tower_part().drawn_anew.empty());
  CHECK(blip2::Blip2Model(config, Key(1)).tower_part().views == 3);
  config.views = 0;
  config.augment = {.min_scale = 1, .max_scale = 1, .min_ratio = 1, .max_ratio = 1};
  const blip2::Blip2Model fixed(config, Key(1));
  CHECK(fixed.tower_part().drawn_anew.empty());
  config.vision.layer_norm_eps *= 2;
  CHECK(blip2::Blip2Model(config, Key(1)).tower_part().settings != fixed.tower_part().settings);
}

TEST_CASE("BLIP-2: negatives are drawn by the key and are never of the same picture") {
  blip2::Blip2Model model(tiny(), Key(1));
  disturb(model);
  Batch batch = make_batch(4);
  const auto itm = [&](std::uint64_t key) {
    return model.losses(batch, all_losses, step_of(key)).at("itm").sum.item<double>();
  };
  CHECK(itm(1) == itm(1));
  std::set<double> values;
  for (std::uint64_t key = 1; key < 8; ++key) values.insert(itm(key));
  CHECK(values.size() > 1);
  // Two pictures with two captions each: only the other picture is left, whatever the key.
  batch = make_batch(2);
  CHECK(itm(1) == itm(2));
}

TEST_CASE("BLIP-2: the second stage takes the first one's weights") {
  blip2::Blip2Model first(tiny(), Key(1));
  disturb(first);
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, tensor] : first.parameters()) weights[name] = tensor.detach();
  for (const char* kind : {"generation", "retrieval"}) {
    const blip2::Config config = tiny(kind);
    blip2::Blip2Model second(config, Key(2));
    const Taken taken = take_weights(second, blip2::import_weights(weights, config));
    CHECK(taken.left_out.empty());
    for (const std::string& name : taken.fresh) CHECK(name.starts_with("language_"));
    for (const auto& [name, tensor] : second.parameters()) {
      if (weights.contains(name)) CHECK(at::equal(tensor, weights.at(name)));
    }
  }
}

TEST_CASE("BLIP-2: a CLIP tower's positions are resized with corners on corners, EVA's are not") {
  for (const bool clip : {true, false}) {
    blip2::Config config = tiny();
    config.vision.clip = clip;
    const blip2::Blip2Model small(config, Key(1));
    const std::string name = "vision_model.embeddings.position_embedding";
    std::map<std::string, at::Tensor> weights;
    for (const auto& [own, tensor] : small.parameters()) weights[own] = tensor.detach();
    const std::int64_t from = config.vision.shape().grid();
    config.vision.image_size += 3 * config.vision.patch_size;
    const std::int64_t to = config.vision.shape().grid();
    const at::Tensor before = weights.at(name).slice(1, 1).view({from, from, -1});
    const at::Tensor after =
        blip2::import_weights(weights, config).at(name).slice(1, 1).view({to, to, -1});
    for (const std::int64_t row : {0, 1}) {
      for (const std::int64_t column : {0, 1}) {
        const at::Tensor corner = after[row * (to - 1)][column * (to - 1)];
        const at::Tensor expected = before[row * (from - 1)][column * (from - 1)];
        CHECK(at::allclose(corner, expected, 0, 1e-6) == clip);
      }
    }
  }
}

TEST_CASE("BLIP-2: config.json goes both ways") {
  for (const char* name : {"blip2_opt", "blip2_opt_behind", "blip2_t5", "blip2_t5_plain",
                           "blip2_model", "blip2_match", "blip2_qformer", "blip2_qformer_clip"}) {
    const auto settings = blip2::from_config_json(bytes_of_file(fixture(name) / "config.json"));
    const std::string once = blip2::to_config_json(*settings);
    CHECK(blip2::to_config_json(*blip2::from_config_json(once)) == once);
  }
}

TEST_CASE("BLIP-2: the levels of chance are those of guessing, and an untrained model is there") {
  const auto near = [](blip2::Blip2Model& model, const Batch& batch, const std::string& name) {
    CAPTURE(name);
    const LossTerm term = model.losses(batch, all_losses, step_of(1)).at(name);
    CHECK(term.sum.item<double>() / model.counts(batch, all_losses).at(name) ==
          Approx(model.chance_levels(4).at(name).value).epsilon(0.25));
  };
  blip2::Blip2Model model(tiny(), Key(1));
  const auto levels = model.chance_levels(8);
  CHECK(levels.size() == 3);
  CHECK(levels.at("itc").value == Approx(std::log(8.0)));  // there is no queue
  // One pair in three matches: the entropy of that.
  CHECK(levels.at("itm").value == Approx(-(std::log(1.0 / 3) + 2 * std::log(2.0 / 3)) / 3));
  CHECK(levels.at("lm").value == Approx(std::log(50.0)));
  near(model, make_batch(4), "itm");
  near(model, make_batch(4), "lm");
  for (const char* language : {"opt", "t5"}) {
    blip2::Config config = tiny("generation", language);
    config.language.vocab_size = 60;  // another one than the Q-Former's
    blip2::Blip2Model writer(config, Key(1));
    const std::string name = std::string(language) == "t5" ? "prefix_lm" : "lm";
    CHECK(writer.chance_levels(8).size() == 1);
    CHECK(writer.chance_levels(8).at(name).value == Approx(std::log(60.0)));
  }
}

}  // namespace blip2_test
