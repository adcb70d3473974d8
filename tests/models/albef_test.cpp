#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "models/albef/assignment.h"
#include "models/albef/batch.h"
#include "models/albef/model.h"
#include "models/albef/tasks.h"
#include "models/albef/weights.h"
#include "support.h"
#include "tandem/base/error.h"
#include "tandem/models/weights.h"

namespace albef_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::testing;

namespace {

albef::Config tiny() {
  albef::Config config;
  config.vision = {.image_size = 16, .patch_size = 8, .width = 16, .layers = 1, .heads = 2};
  config.text.width = 12;
  config.text.layers = 2;
  config.text.heads = 2;
  config.text.fusion_layer = 1;
  config.text.vocab_size = 30;
  config.text.cls_id = 2;
  config.text.pad_id = 0;
  config.text.positions = 10;
  config.text.context_length = 8;
  config.embed_dim = 6;
  config.queue = 6;
  config.momentum = 0.75;
  return config;
}

// Ragged texts; in the hidden ones the first word is [MASK] (4).
Batch make_batch(std::int64_t rows, std::int64_t first = 0) {
  at::manual_seed(7 + static_cast<std::uint64_t>(first));
  Batch batch;
  for (std::int64_t i = 0; i < rows; ++i) batch.positions.push_back(first + i);
  batch.images = Images{};
  batch.images->pixels = at::randint(0, 256, {rows, 3, 16, 16}, at::kByte);
  at::Tensor ids = at::randint(5, 30, {rows, 6}, at::kLong);
  ids.select(1, 0).fill_(2);
  at::Tensor mask = at::ones_like(ids);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t hidden = i % 3;
    if (hidden == 0) continue;
    ids[i].narrow(0, 6 - hidden, hidden).fill_(0);
    mask[i].narrow(0, 6 - hidden, hidden).fill_(0);
  }
  batch.text = Tokens{ids, mask};
  batch.masked = Tokens{ids.clone(), mask};
  batch.masked->ids.select(1, 1).fill_(4);
  batch.masked->labels = at::full_like(ids, -100);
  batch.masked->labels.select(1, 1).copy_(ids.select(1, 1));
  return batch;
}

std::map<std::string, at::Tensor> copied(const NamedTensors& tensors) {
  std::map<std::string, at::Tensor> copies;
  for (const auto& [name, tensor] : tensors) copies[name] = tensor.detach().clone();
  return copies;
}

const LossRequest all{{{"itc", 1.0}, {"itm", 1.0}, {"mlm", 1.0}}};

at::Tensor total(const LossTerms& terms) {
  return terms.at("itc").sum + terms.at("itm").sum + terms.at("mlm").sum;
}

}  // namespace

TEST_CASE("ALBEF: parameters are the online model's, buffers the copies' and the queues") {
  albef::AlbefModel model(tiny(), Key(1));
  std::set<std::string> parameters, buffers;
  for (const auto& [name, t] : model.parameters()) parameters.insert(name);
  for (const auto& [name, t] : model.buffers()) buffers.insert(name);
  CHECK(parameters.size() == model.parameters().size());
  for (const char* name :
       {"temp", "visual_encoder.blocks.0.attn.qkv.weight", "itm_head.bias", "vision_proj.weight",
        "text_encoder.bert.encoder.layer.1.crossattention.self.key.weight",
        "text_encoder.bert.embeddings.word_embeddings.weight", "text_encoder.cls.predictions.bias",
        "text_encoder.cls.predictions.transform.LayerNorm.weight"}) {
    CAPTURE(name);
    CHECK(parameters.contains(name));
  }
  CHECK_FALSE(parameters.contains("text_encoder.cls.predictions.decoder.weight"));
  CHECK_FALSE(
      parameters.contains("text_encoder.bert.encoder.layer.0.crossattention.self.key.weight"));
  CHECK(buffers.size() == parameters.size() - 3 + 3);  // no temp, no itm_head; the queues
  for (const char* name : {"text_encoder_m.cls.predictions.bias", "visual_encoder_m.pos_embed",
                           "image_queue", "text_queue", "queue_ptr"}) {
    CHECK(buffers.contains(name));
  }
}

TEST_CASE("ALBEF: copies begin as their parts, the queues as random unit columns") {
  albef::AlbefModel model(tiny(), Key(1)), again(tiny(), Key(1));
  const auto p = copied(model.parameters());
  for (const auto& [name, t] : model.buffers()) {
    CAPTURE(name);
    CHECK_FALSE(t.requires_grad());
    const std::size_t mark = name.find("_m.");
    if (mark != std::string::npos) {
      CHECK(at::equal(t, p.at(name.substr(0, mark) + name.substr(mark + 2))));
    }
    if (name == "image_queue") CHECK(at::allclose(t.norm(2, {0}), at::ones({6})));
  }
  const auto q = copied(again.parameters());
  for (const auto& [name, t] : p) CHECK(at::equal(t, q.at(name)));
}

TEST_CASE("ALBEF: a picture is seen behind the text's own layers, padding nowhere") {
  albef::AlbefModel model(tiny(), Key(1));
  model.train(false);
  const auto can = model.abilities();
  const Batch batch = make_batch(3);
  Batch other = batch, longer = batch;
  other.images->pixels = 255 - batch.images->pixels;
  longer.text->ids = at::constant_pad_nd(batch.text->ids, {0, 2}, 9);
  longer.text->mask = at::constant_pad_nd(batch.text->mask, {0, 2}, 0);
  CHECK(at::allclose(can.embed_text(*longer.text), can.embed_text(*batch.text), 1e-5, 1e-6));
  CHECK(at::allclose(can.match(longer), can.match(batch), 1e-5, 1e-6));
  CHECK_FALSE(at::allclose(can.match(other), can.match(batch), 1e-7, 0));
  CHECK(at::allclose(can.embed_image(*batch.images).norm(2, {1}), at::ones({3})));
  CHECK(at::allclose(can.embed_text(*batch.text).norm(2, {1}), at::ones({3})));
}

TEST_CASE("ALBEF: matching sees true tokens, only the language loss sees hidden ones") {
  albef::AlbefModel model(tiny(), Key(1));
  model.train(false);
  const Batch batch = make_batch(3);
  Batch other = batch;
  other.masked->ids = at::where(batch.masked->ids.eq(4), 7, batch.masked->ids);
  const LossTerms a = model.losses(batch, all, {}), b = model.losses(other, all, {});
  CHECK(at::equal(a.at("itc").sum, b.at("itc").sum));
  CHECK(at::equal(a.at("itm").sum, b.at("itm").sum));
  CHECK_FALSE(at::equal(a.at("mlm").sum, b.at("mlm").sum));
  CHECK(a.at("itc").count == 3);
  CHECK(a.at("itm").count == 9);
  CHECK(a.at("mlm").count == 3);
  const auto counts = model.counts(batch, all);
  for (const auto& [name, term] : a) CHECK(counts.at(name) == term.count);
}

TEST_CASE("ALBEF: evaluation changes neither temperature nor copies nor queues") {
  albef::Config config = tiny();
  albef::AlbefModel model(config, Key(1));
  model.train(false);
  at::Tensor temperature = model.parameters().front().second;
  REQUIRE(model.parameters().front().first == "temp");
  {
    const at::NoGradGuard no_grad;
    temperature.fill_(0.9);
    model.parameters()[3].second.add_(1);  // a copy would move
  }
  const auto before = copied(model.buffers());
  const double hot = model.losses(make_batch(3), all, {}).at("itc").sum.item<double>();
  model.after_step({});
  for (const auto& [name, t] : model.buffers()) CHECK(at::equal(t, before.at(name)));
  CHECK(temperature.item<double>() == Approx(0.9));
  const at::NoGradGuard no_grad;
  temperature.fill_(0.5);  // its bound holds all the same
  CHECK(model.losses(make_batch(3), all, {}).at("itc").sum.item<double>() == Approx(hot));
}

TEST_CASE("ALBEF: a step moves the copies once and then its temperature is within bounds") {
  albef::AlbefModel model(tiny(), Key(1));
  model.train(true);
  at::Tensor temperature = model.parameters().front().second;
  const auto before = copied(model.buffers());
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, t] : model.parameters()) t.add_(1);
  }
  StepContext context;
  model.losses(make_batch(2), all, context);
  context.micro_batch = 1;
  model.losses(make_batch(2, 2), all, context);
  CHECK(temperature.item<double>() == 0.5);
  for (const auto& [name, t] : model.buffers()) {
    CAPTURE(name);
    if (name.find("_m.") != std::string::npos) {
      CHECK(at::allclose(t, before.at(name) + 0.25, 1e-5, 1e-6));
    } else {
      CHECK(at::equal(t, before.at(name)));  // the queues wait for the step's end
    }
  }
}

TEST_CASE("ALBEF: features are queued after the step, in the samples' order, around the end") {
  albef::Config config = tiny();
  config.text.dropout = config.text.attention_dropout = 0;
  config.momentum = 1;  // copies stand still: what they give is known
  albef::AlbefModel model(config, Key(1));
  const auto can = model.abilities();
  at::Tensor expected = copied(model.buffers()).at("image_queue");
  model.train(true);
  std::int64_t next = 0;
  const dist::Mesh mesh;
  for (std::int64_t step = 0; step < 3; ++step) {
    StepContext context;
    context.mesh = &mesh;
    context.step = step;
    // The later samples come first.
    const Batch late = make_batch(2, 100 * step + 2), early = make_batch(2, 100 * step);
    model.losses(late, all, context);
    context.micro_batch = 1;
    model.losses(early, all, context);
    CHECK(at::allclose(copied(model.buffers()).at("image_queue"), expected));
    model.after_step(context);
    const at::Tensor rows =
        at::cat({can.embed_image(*early.images), can.embed_image(*late.images)});
    for (std::int64_t i = 0; i < 4; ++i) expected.select(1, (next + i) % 6).copy_(rows[i]);
    next = (next + 4) % 6;
    const auto buffers = copied(model.buffers());
    CHECK(at::allclose(buffers.at("image_queue"), expected, 1e-5, 1e-6));
    CHECK(buffers.at("queue_ptr").item<std::int64_t>() == next);
  }
  const auto before = copied(model.buffers());
  model.after_step({});  // nothing came
  CHECK(at::equal(copied(model.buffers()).at("text_queue"), before.at("text_queue")));
}

TEST_CASE("ALBEF: a broken step is not queued, and the copies do not follow the same step twice") {
  albef::AlbefModel model(tiny(), Key(1));
  model.train(true);
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, t] : model.parameters()) t.add_(0.1);
  }
  const auto is_copy = [](const std::string& name) {
    return name.find("_m.") != std::string::npos;
  };
  StepContext context;
  model.losses(make_batch(2), all, context);
  const auto before = copied(model.buffers());
  context.broken = at::ones({});
  model.after_step(context);
  for (const auto& [name, t] : model.buffers()) CHECK(at::equal(t, before.at(name)));
  // In the step behind it, broken still says so of the one before.
  model.losses(make_batch(2, 2), all, context);
  for (const auto& [name, t] : model.buffers()) CHECK(at::equal(t, before.at(name)));
  context.broken = at::zeros({});
  model.after_step(context);
  CHECK_FALSE(at::equal(copied(model.buffers()).at("image_queue"), before.at("image_queue")));
  model.losses(make_batch(2, 4), all, context);
  for (const auto& [name, t] : model.buffers()) {
    CAPTURE(name);
    if (is_copy(name)) CHECK_FALSE(at::equal(t, before.at(name)));
  }
}

TEST_CASE("ALBEF: the share of soft targets grows over its ramp") {
  const auto loss = [](double alpha, std::int64_t ramp, std::int64_t step) {
    albef::Config config = tiny();
    config.alpha = alpha;
    config.alpha_ramp = ramp;
    config.text.dropout = config.text.attention_dropout = 0;
    albef::AlbefModel model(config, Key(1));
    model.train(true);
    StepContext context;
    context.step = step;
    return total(model.losses(make_batch(3), all, context)).item<double>();
  };
  CHECK(loss(0.4, 10, 0) == Approx(loss(0, 0, 0)));
  CHECK(loss(0.4, 10, 5) == Approx(loss(0.2, 0, 0)));
  CHECK(loss(0.4, 10, 50) == Approx(loss(0.4, 0, 0)));
  CHECK(std::abs(loss(0.4, 0, 0) - loss(0, 0, 0)) > 1e-4);
}

TEST_CASE("ALBEF: every parameter learns, no copy does; recomputed gradients are the same bits") {
  albef::AlbefModel plain(tiny(), Key(1)), again(tiny(), Key(1));
  plain.train(true);
  again.train(true);
  StepContext context;
  total(plain.losses(make_batch(3), all, context)).backward();
  context.recompute = true;
  total(again.losses(make_batch(3), all, context)).backward();
  const NamedTensors p = plain.parameters(), q = again.parameters();
  for (std::size_t i = 0; i < p.size(); ++i) {
    CAPTURE(p[i].first);
    REQUIRE(p[i].second.grad().defined());
    CHECK(at::equal(p[i].second.grad(), q[i].second.grad()));
  }
  for (const auto& [name, t] : plain.buffers()) CHECK_FALSE(t.grad().defined());
}

TEST_CASE("ALBEF: each loss can be asked for alone") {
  for (const char* name : {"itc", "itm", "mlm"}) {
    albef::AlbefModel model(tiny(), Key(1)), whole(tiny(), Key(1));
    const Batch batch = make_batch(3);
    const LossTerms one = model.losses(batch, {{{name, 1.0}}}, {});
    CHECK(at::equal(one.at(name).sum, whole.losses(batch, all, {}).at(name).sum));
  }
  albef::AlbefModel model(tiny(), Key(1));
  Batch batch = make_batch(3);
  batch.masked.reset();
  CHECK_NOTHROW(model.losses(batch, {{{"itc", 1.0}}}, {}));
  CHECK_THROWS_AS(model.losses(batch, all, {}), Error);
}

TEST_CASE("ALBEF: tied tensors of a file become one, copies are made where it has none") {
  const albef::Config config = tiny();
  albef::AlbefModel model(config, Key(1));
  Weights file;
  for (const auto& [name, t] : model.parameters()) file["module." + name] = t.detach();
  const std::string words = "text_encoder.bert.embeddings.word_embeddings.weight";
  file["module.text_encoder.cls.predictions.decoder.weight"] = file.at("module." + words);
  file["module.text_encoder.bert.embeddings.position_ids"] = at::arange(10);
  file["module.visual_encoder.pos_embed"] = at::randn({1, 1 + 16, 16});
  const Weights out = albef::import_weights(file, config);
  CHECK(out.at("visual_encoder.pos_embed").sizes() == at::IntArrayRef({1, 5, 16}));
  CHECK(at::equal(out.at("text_encoder_m" + words.substr(12)), out.at(words)));
  CHECK_NOTHROW(assign_weights(model, out));
}

TEST_CASE("ALBEF: a model of fewer positions begins with the first ones, copies too") {
  const albef::Config config = tiny();
  albef::Config longer = tiny();
  longer.text.positions = 17;
  albef::AlbefModel model(longer, Key(1)), shorter(config, Key(2));
  Weights file;
  for (const auto& [name, t] : model.parameters()) file[name] = t.detach();
  const Weights out = albef::import_weights(file, config);
  const std::string table = ".bert.embeddings.position_embeddings.weight";
  const at::Tensor first = file.at("text_encoder" + table).narrow(0, 0, 10);
  CHECK(at::equal(out.at("text_encoder" + table), first));
  CHECK(at::equal(out.at("text_encoder_m" + table), first));
  CHECK_NOTHROW(assign_weights(shorter, out));
}

TEST_CASE("ALBEF: in retrieval a picture's texts share the target and are no negatives") {
  albef::Config config = tiny();
  config.kind = "retrieval";
  config.text.dropout = config.text.attention_dropout = 0;
  albef::AlbefModel model(config, Key(1));
  CHECK(model.losses_known() == std::vector<std::string>{"itc", "itm"});
  const LossRequest both{{{"itc", 1.0}, {"itm", 1.0}}};
  model.train(true);
  Batch batch = make_batch(3);
  batch.picture_ids = at::arange(3);
  const double apart = model.losses(batch, both, {}).at("itc").sum.item<double>();
  batch.picture_ids = at::zeros({3}, at::kLong);  // no negative is left, and nothing breaks
  const LossTerms same = model.losses(batch, both, {});
  CHECK(std::abs(same.at("itc").sum.item<double>() - apart) > 2e-5);
  CHECK(same.at("itm").sum.isfinite().item<bool>());
  model.after_step({});
  // A step that begins forgets what the one before it gave.
  const at::Tensor seen = copied(model.buffers()).at("idx_queue");
  CHECK(seen.sizes() == at::IntArrayRef({1, 6}));
  CHECK(seen.eq(0).sum().item<std::int64_t>() == 3);
  CHECK(seen.eq(-100).sum().item<std::int64_t>() == 3);
  // A warm temperature stays as it is.
  at::Tensor temperature = model.parameters().front().second;
  const at::NoGradGuard no_grad;
  temperature.fill_(0.9);
  model.losses(batch, both, {});
  CHECK(temperature.item<double>() == Approx(0.9));
}

TEST_CASE("ALBEF: random negatives are of other pictures, whatever is alike") {
  albef::Config config = tiny();
  config.text.dropout = config.text.attention_dropout = 0;
  albef::AlbefModel hard(config, Key(1));
  config.itm_negatives = "random";
  albef::AlbefModel random(config, Key(1));
  for (albef::AlbefModel* model : {&hard, &random}) {
    add_noise(*model);
    model->train(false);
  }
  Batch batch = make_batch(2);
  batch.picture_ids = at::arange(2);  // there is one other
  CHECK(matching_losses(hard, batch).size() == 1);
  CHECK(matching_losses(random, batch) == matching_losses(hard, batch));
  batch = make_batch(3);
  batch.picture_ids = at::arange(3);
  CHECK(matching_losses(random, batch).size() > 4);
  batch.picture_ids = at::tensor({4, 4, 7}, at::kLong);  // only the last one has a choice of two
  CHECK(matching_losses(random, batch).size() == 4);
}

TEST_CASE("ALBEF: two pictures are read through the same keys and values") {
  albef::Config config = tiny();
  config.kind = "reasoning";
  config.text.layers = 3;  // one of the text, two of fusion, which stand twice
  albef::TaskModel model(config, Key(1));
  std::set<std::string> names;
  for (const auto& [name, t] : model.parameters()) names.insert(name);
  const std::string layer = "text_encoder.encoder.layer.";
  CHECK(names.contains(layer + "3.crossattention.self.key.weight"));
  CHECK(names.contains(layer + "4.crossattention.self.query.weight"));
  CHECK_FALSE(names.contains(layer + "4.crossattention.self.key.weight"));
  CHECK_FALSE(names.contains(layer + "5.attention.self.key.weight"));
  model.train(false);
  const Batch batch = make_batch(2);
  const auto logits = [&](const at::Tensor& first, const at::Tensor& second) {
    return model
        .reference_outputs({{"pixel_values", at::cat({first, second}).to(at::kFloat) / 255},
                            {"input_ids", batch.text->ids},
                            {"attention_mask", batch.text->mask}})
        .at("logits");
  };
  const at::Tensor a = batch.images->pixels, b = 255 - a;
  CHECK(logits(a, b).sizes() == at::IntArrayRef({2, 2}));
  CHECK_FALSE(at::allclose(logits(a, b), logits(a, a), 1e-7, 1e-9));
  CHECK_FALSE(at::allclose(logits(a, b), logits(b, b), 1e-7, 1e-9));
}

TEST_CASE("ALBEF: a text is shown on either side or not at all, never with one picture twice") {
  const std::int64_t size = 6;
  at::Tensor alike = at::ones({size, size});
  alike.fill_diagonal_(0);
  alike.select(1, 5).fill_(0);  // the last picture is like none
  std::map<std::int64_t, int> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const albef::Assigned shown = albef::draw_assigned(alike, Key(seed));
    CHECK(at::equal(shown.first, albef::draw_assigned(alike, Key(seed)).first));
    for (std::int64_t i = 0; i < size; ++i) {
      const auto label = shown.labels[i].item<std::int64_t>();
      const auto first = shown.first[i].item<std::int64_t>();
      const auto second = shown.second[i].item<std::int64_t>();
      REQUIRE(first != second);
      REQUIRE((first == i) == (label == 0));
      REQUIRE((second == i) == (label == 1));
      REQUIRE((first == i || first != 5));
      REQUIRE((second == i || second != 5));
      ++seen[label];
    }
  }
  for (const std::int64_t label : {0, 1, 2}) CHECK(std::abs(seen[label] / 1200.0 - 1 / 3.0) < 0.05);
}

TEST_CASE(
    "ALBEF: text assignment trains what it has, from a pre-trained model, and leads to NLVR2") {
  albef::Config before = tiny(), config = tiny(), after = tiny();
  config.kind = "assignment";
  after.kind = "reasoning";
  albef::AlbefModel pretrained(before, Key(1));
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, value] : pretrained.parameters()) weights[name] = value.detach();
  for (const auto& [name, value] : pretrained.buffers()) weights[name] = value.detach();
  albef::AssignmentModel model(config, Key(2));
  const Taken taken = take_weights(model, albef::import_weights(weights, config));
  CHECK(taken.fresh == std::vector<std::string>{"ta_head.weight", "ta_head.bias"});
  std::map<std::string, at::Tensor> held;
  for (const auto& [name, value] : model.buffers()) held[name] = value.clone();
  CHECK(at::equal(held.at("vision_proj.weight"), weights.at("vision_proj.weight")));

  model.train(true);
  Batch batch = make_batch(6);
  batch.picture_ids = at::arange(6, at::kLong);
  StepContext context;
  context.key = Key(3);
  const LossTerm term = model.losses(batch, {.weights = {{"ta", 1}}}, context).at("ta");
  CHECK(term.count == 6);
  term.sum.backward();
  for (const auto& [name, value] : model.parameters()) {
    CAPTURE(name);
    CHECK(value.grad().defined());
  }
  for (const auto& [name, value] : model.buffers()) {
    CHECK(at::equal(value, held.at(name)));
    CHECK_FALSE(value.requires_grad());
  }
  std::map<std::string, at::Tensor> trained;
  for (const auto& [name, value] : model.parameters()) trained[name] = value.detach();
  albef::TaskModel reasoning(after, Key(4));
  const Taken next = take_weights(reasoning, albef::import_weights(trained, after));
  CHECK(next.left_out == std::vector<std::string>{"ta_head.bias", "ta_head.weight"});
  for (const std::string& name : next.fresh) CHECK(name.starts_with("cls_head"));
}

TEST_CASE("ALBEF: a text's words are located on the grid of patches, padding left out") {
  albef::AlbefModel model(tiny(), Key(1));
  model.train(false);
  const auto can = model.abilities();
  const Batch batch = make_batch(3);
  const at::Tensor map = can.locate(batch);
  CHECK(map.sizes() == at::IntArrayRef({3, 2, 2}));
  CHECK(map.min().item<double>() >= 0);
  CHECK(map.max().item<double>() > 0);
  CHECK_FALSE(map.requires_grad());
  for (const auto& [name, t] : model.parameters()) CHECK_FALSE(t.grad().defined());
  Batch longer = batch;  // the mean is over all positions, also of padding
  longer.text->ids = at::constant_pad_nd(batch.text->ids, {0, 2}, 9);
  longer.text->mask = at::constant_pad_nd(batch.text->mask, {0, 2}, 0);
  CHECK(at::allclose(can.locate(longer) * 8, map * 6, 1e-3, 1e-7));
  CHECK(can.match_score(batch).sizes() == can.match(batch).sizes());
  albef::Config apart = tiny();
  apart.text.fusion_layer = 2;
  CHECK_FALSE(albef::AlbefModel(apart, Key(1)).abilities().locate);
}

TEST_CASE("ALBEF: captions are cleaned as the original cleans them") {
  CHECK(albef::clean_caption(" A man's  red-blue\tbike, at 7:30 (w/ <PERSON>)!\n", 30) ==
        "a mans red blue bike at 730 w person");
  CHECK(albef::clean_caption("one two three four", 3) == "one two three");
  CHECK(albef::clean_caption(" . ", 3).empty());
}

TEST_CASE("ALBEF: a sample's tokens begin with [CLS], end without [SEP], and some are hidden") {
  const std::vector<std::string> lines(4, "a red square and a blue circle on a green field");
  auto tokenizer = std::make_shared<const text::Tokenizer>(text::train_wordpiece(lines, 60));
  albef::Config config = tiny();
  config.text.vocab_size = 0;
  config.text.cls_id = config.text.pad_id = -1;
  CHECK_THROWS_AS(albef::AlbefModel(config, Key(1)), Error);
  // fit_vocabulary fills in what is open.
  albef::fit_vocabulary(config, *tokenizer);
  CHECK(config.text.vocab_size == tokenizer->vocab_size());
  CHECK(config.text.cls_id == tokenizer->id_of("[CLS]"));
  CHECK(config.text.pad_id == tokenizer->id_of("[PAD]"));
  const Processor processor = albef::make_processor(config, tokenizer);
  const Tokens tokens = processor.text("A red-square, and a blue circle on a green field.");
  CHECK(tokens.ids.size(1) == 8);  // cut
  CHECK(tokens.ids[0][0].item<std::int64_t>() == config.text.cls_id);
  CHECK_FALSE(tokens.ids.eq(*tokenizer->id_of("[SEP]")).any().item<bool>());
  data::Sample sample;
  sample.texts = {lines[0]};
  CHECK_THROWS_AS(processor.prepare(sample, Key(1), true), Error);
  sample.pictures.emplace_back();
  sample.pictures[0].pixels = {24, 16, std::vector<std::uint8_t>(24 * 16 * 3, 100)};
  const Batch batch = processor.prepare(sample, Key(1), true);
  CHECK(batch.images->pixels.sizes() == at::IntArrayRef({1, 3, 16, 16}));
  const at::Tensor hidden = batch.masked->labels.ne(-100);
  CHECK(hidden.any().item<bool>());
  CHECK_FALSE(hidden[0][0].item<bool>());
  CHECK(at::equal(batch.text->ids, at::where(hidden, batch.masked->labels, batch.masked->ids)));
  CHECK(processor.image(sample.pictures[0]).pixels.size(3) == 16);
}

TEST_CASE("ALBEF: config.json says all that the settings say, and refuses what does not fit") {
  albef::Config config = tiny();
  config.alpha_ramp = 17;
  config.text.activation = "gelu_new";
  config.text.words = 9;
  const std::string json = albef::to_config_json(config);
  CHECK(albef::to_config_json(*albef::from_config_json(json)) == json);
  const auto refused = [](const std::string& text) {
    CAPTURE(text);
    CHECK_THROWS_AS(albef::from_config_json(text), Error);
  };
  refused(R"({"vision_heads": 5})");
  refused(R"({"image_res": 8, "patch_size": 16})");
  refused(R"({"bert_config": {"fusion_layer": 13}})");
  refused(R"({"bert_config": {"encoder_width": 512}})");
  refused(R"({"bert_config": {"hidden_act": "mish"}})");
  refused(R"({"bert_config": {"position_embedding_type": "relative_key"}})");
  refused(R"({"bert_config": "configs/config_bert.json"})");
  CHECK_NOTHROW(albef::from_config_json("{}"));
}

TEST_CASE("a file holds a whole momentum copy or none of it") {
  albef::AlbefModel model(tiny(), Key(1));
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, tensor] : model.parameters()) weights[name] = tensor.detach().clone();
  assign_weights(model, weights);
  for (const auto& [name, tensor] : model.buffers()) weights[name] = tensor.detach().clone();
  assign_weights(model, weights);
  weights.erase("text_encoder_m.bert.embeddings.word_embeddings.weight");
  CHECK_THROWS_AS(assign_weights(model, weights), Error);
}

TEST_CASE("ALBEF: the levels of chance are those of guessing, and an untrained model is there") {
  albef::AlbefModel model(tiny(), Key(1));
  const auto levels = model.chance_levels(8);
  CHECK(levels.size() == 3);
  CHECK(levels.at("itc").value == Approx(std::log(8.0 + 6)));  // the batch and the queue
  // One pair in three matches: the entropy of that.
  CHECK(levels.at("itm").value == Approx(-(std::log(1.0 / 3) + 2 * std::log(2.0 / 3)) / 3));
  CHECK(levels.at("mlm").value == Approx(std::log(30.0)));
  const LossTerms terms = model.losses(make_batch(4), all, {});
  for (const char* name : {"itm", "mlm"}) {
    CAPTURE(name);
    const double loss = terms.at(name).sum.item<double>() / terms.at(name).count;
    CHECK(loss == Approx(levels.at(name).value).epsilon(0.25));
  }
  albef::Config config = tiny();
  config.kind = "assignment";
  CHECK(albef::AssignmentModel(config, Key(1)).chance_levels(8).at("ta").value ==
        Approx(std::log(3.0)));
  config.kind = "reasoning";
  CHECK(albef::TaskModel(config, Key(1)).chance_levels(8).at("nlvr2").value ==
        Approx(std::log(2.0)));
}

}  // namespace albef_test
