#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "../support/fixtures.h"
#include "models/clip/model.h"
#include "models/clip/weights.h"
#include "tandem/base/error.h"
#include "tandem/models/weights.h"
#include "tandem/nn/normalize.h"
#include "tandem/objectives/itc.h"
#include "tandem/tensor/safetensors.h"

namespace clip_test {

using namespace tandem;
using namespace tandem::models;

namespace {

clip::Config tiny() {
  clip::Config config;
  config.vision.image_size = 16;
  config.vision.patch_size = 8;
  config.vision.width = 32;
  config.vision.layers = 2;
  config.vision.heads = 2;
  config.text.width = 24;
  config.text.layers = 2;
  config.text.heads = 2;
  config.text.context_length = 10;
  config.text.vocab_size = 50;
  config.text.eos_id = 40;
  config.text.pad_id = 0;
  config.embed_dim = 16;
  return config;
}

Batch make_batch(std::int64_t rows) {
  at::manual_seed(3);
  Batch batch;
  batch.positions.assign(static_cast<std::size_t>(rows), 0);
  batch.images = Images{at::randint(0, 256, {rows, 3, 16, 16}, at::kByte)};
  at::Tensor ids = at::randint(1, 39, {rows, 7}, at::kLong);
  for (std::int64_t i = 0; i < rows; ++i) ids[i][3 + i % 4] = 40;
  batch.text = Tokens{ids, at::ones_like(ids)};
  return batch;
}

Batch rows_of(const Batch& batch, std::int64_t first, std::int64_t count) {
  Batch part;
  part.images = Images{batch.images->pixels.narrow(0, first, count)};
  part.text =
      Tokens{batch.text->ids.narrow(0, first, count), batch.text->mask.narrow(0, first, count)};
  return part;
}

std::map<std::string, at::Tensor> gradients_of(const Model& model) {
  std::map<std::string, at::Tensor> gradients;
  for (const auto& [name, parameter] : model.parameters()) {
    REQUIRE(parameter.grad().defined());
    gradients[name] = parameter.grad();
  }
  return gradients;
}

const LossRequest request{{{"itc", 1.0}}};

}  // namespace

TEST_CASE("parameters carry the names of the files, in a fixed order, and no more") {
  clip::ClipModel model(tiny(), Key(1));
  const NamedTensors parameters = model.parameters();
  CHECK(parameters.front().first == "logit_scale");
  CHECK(parameters.size() == 1 + 2 + (2 + 2 + 16 * 2) + (3 + 4 + 16 * 2));
  std::set<std::string> names;
  for (const auto& [name, tensor] : parameters) names.insert(name);
  CHECK(names.size() == parameters.size());
  CHECK(names.contains("vision_model.encoder.layers.1.self_attn.q_proj.bias"));
  CHECK(names.contains("vision_model.pre_layrnorm.weight"));
  CHECK(names.contains("text_model.embeddings.position_embedding.weight"));
  CHECK(names.contains("visual_projection.weight"));
}

TEST_CASE("initial values follow the original code and the key") {
  clip::Config config = tiny();
  config.text.width = 256;
  config.text.vocab_size = 400;
  config.vision.width = 256;
  clip::ClipModel model(config, Key(1)), again(config, Key(1)), other(config, Key(2));
  std::map<std::string, at::Tensor> p, q, r;
  for (const auto& [name, t] : model.parameters()) p[name] = t.detach();
  for (const auto& [name, t] : again.parameters()) q[name] = t.detach();
  for (const auto& [name, t] : other.parameters()) r[name] = t.detach();
  for (const auto& [name, t] : p) {
    CAPTURE(name);
    CHECK(t.isfinite().all().item<bool>());
    CHECK(at::equal(t, q[name]));
  }
  CHECK_FALSE(at::equal(p["visual_projection.weight"], r["visual_projection.weight"]));
  const auto spread = [&](const std::string& name) { return p[name].std().item<double>(); };
  const std::string text = "text_model.encoder.layers.0.",
                    vision = "vision_model.encoder.layers.1.";
  CHECK(p["logit_scale"].item<double>() == Approx(std::log(1 / 0.07)));
  CHECK(spread("text_model.embeddings.token_embedding.weight") == Approx(0.02).epsilon(0.05));
  CHECK(spread("text_model.embeddings.position_embedding.weight") == Approx(0.01).epsilon(0.1));
  CHECK(spread(text + "self_attn.q_proj.weight") == Approx(1 / 16.0).epsilon(0.05));
  CHECK(spread(text + "self_attn.out_proj.weight") == Approx(1 / 32.0).epsilon(0.05));
  CHECK(spread(text + "mlp.fc1.weight") == Approx(1 / std::sqrt(512.0)).epsilon(0.05));
  CHECK(spread(vision + "self_attn.k_proj.weight") ==
        Approx(std::sqrt(6.0 / 1024) / std::sqrt(3.0)).epsilon(0.05));
  CHECK(spread(vision + "mlp.fc2.weight") == Approx(1 / 32.0 / std::sqrt(3.0)).epsilon(0.05));
  CHECK(p[vision + "self_attn.q_proj.bias"].abs().max().item<double>() == 0);
  CHECK(p[vision + "mlp.fc1.bias"].abs().max().item<double>() > 0);
  CHECK(at::equal(p["vision_model.post_layernorm.weight"], at::ones({256})));
}

TEST_CASE("what stands behind the end mark changes nothing") {
  clip::ClipModel model(tiny(), Key(1));
  const auto can = model.abilities();
  const at::Tensor a = at::tensor({5, 6, 40, 0, 0}, at::kLong).view({1, 5});
  const at::Tensor b = at::tensor({5, 6, 40, 41, 40}, at::kLong).view({1, 5});
  const at::Tensor shorter = a.narrow(1, 0, 3);
  const at::Tensor feature = can.embed_text(Tokens{a});
  CHECK(at::allclose(feature, can.embed_text(Tokens{b}), 1e-5, 1e-6));
  CHECK(at::allclose(feature, can.embed_text(Tokens{shorter}), 1e-5, 1e-6));
  CHECK(feature.norm().item<double>() == Approx(1));
  const at::Tensor changed = at::tensor({5, 7, 40, 0, 0}, at::kLong).view({1, 5});
  CHECK_FALSE(at::allclose(feature, can.embed_text(Tokens{changed}), 1e-3, 1e-3));
}

TEST_CASE("the two pooling rules differ where an id larger than the end mark stands") {
  clip::Config config = tiny();
  config.text.pooling = "argmax";
  const clip::TextModel argmax(config.text);
  config.text.pooling = "first_eos";
  const clip::TextModel first(config.text);
  const at::Tensor ids = at::tensor({5, 45, 40, 40, 5, 6, 40, 0}, at::kLong).view({2, 4});
  CHECK(at::equal(argmax.end_of(ids), at::tensor({1, 2}, at::kLong)));
  CHECK(at::equal(first.end_of(ids), at::tensor({2, 2}, at::kLong)));
}

TEST_CASE("a text longer than the context is refused") {
  clip::ClipModel model(tiny(), Key(1));
  CHECK_THROWS_AS(model.abilities().embed_text(Tokens{at::randint(1, 39, {1, 11}, at::kLong)}),
                  Error);
}

TEST_CASE("bytes and normalised pixels give the same features") {
  clip::ClipModel model(tiny(), Key(1));
  const at::Tensor bytes = make_batch(2).images->pixels;
  nn::PixelStatistics statistics;
  for (std::size_t i = 0; i < 3; ++i) {
    statistics.mean[i] = tiny().image.mean[i];
    statistics.std[i] = tiny().image.std[i];
  }
  const at::Tensor floats = nn::normalize_pixels_aten(bytes, statistics);
  CHECK(at::equal(model.abilities().embed_image({bytes}), model.abilities().embed_image({floats})));
}

TEST_CASE("two passes over micro-batches give the loss and gradients of one batch") {
  clip::ClipModel whole(tiny(), Key(1)), parts(tiny(), Key(1));
  const Batch batch = make_batch(8);
  const LossTerm one = whole.losses(batch, request, {}).at("itc");
  CHECK(one.count == 8);
  CHECK(whole.counts(batch, request).at("itc") == 8);
  one.sum.backward();

  std::vector<at::Tensor> image, text;
  for (std::int64_t first = 0; first < 8; first += 2) {
    const at::NoGradGuard no_grad;
    const Features f = parts.features(rows_of(batch, first, 2), request, {});
    image.push_back(f.image);
    text.push_back(f.text);
  }
  const auto solution = parts.solve({at::cat(image), at::cat(text)}, request, {});
  double sum = 0;
  for (std::int64_t first = 0; first < 8; first += 2) {
    StepContext context;
    context.contrast = solution.get();
    context.contrast_first = first;
    const LossTerm term = parts.losses(rows_of(batch, first, 2), request, context).at("itc");
    term.sum.backward();
    sum += term.sum.item<double>();
  }
  CHECK(sum == Approx(one.sum.item<double>()).epsilon(1e-5));
  const auto expected = gradients_of(whole);
  for (const auto& [name, gradient] : gradients_of(parts)) {
    CAPTURE(name);
    const double largest = expected.at(name).abs().max().item<double>();
    CHECK((gradient - expected.at(name)).abs().max().item<double>() <= 1e-4 * largest + 1e-6);
  }
}

TEST_CASE("recomputation changes no bit of loss and gradients") {
  clip::ClipModel plain(tiny(), Key(1)), again(tiny(), Key(1));
  StepContext context;
  const LossTerm a = plain.losses(make_batch(4), request, context).at("itc");
  a.sum.backward();
  context.recompute = true;
  const LossTerm b = again.losses(make_batch(4), request, context).at("itc");
  b.sum.backward();
  CHECK(at::equal(a.sum, b.sum));
  const auto expected = gradients_of(plain);
  for (const auto& [name, gradient] : gradients_of(again)) {
    CAPTURE(name);
    CHECK(at::equal(gradient, expected.at(name)));
  }
}

TEST_CASE("after a step the temperature's parameter is within its bounds") {
  clip::ClipModel model(tiny(), Key(1));
  at::Tensor scale = model.parameters().front().second;
  const at::NoGradGuard no_grad;
  for (const auto& [before, after] : {std::pair{9.0, std::log(100.0)}, {-1.0, 0.0}, {2.0, 2.0}}) {
    scale.fill_(before);
    model.after_step({});
    CHECK(scale.item<double>() == Approx(after));
  }
}

TEST_CASE("a frozen scale stays as it is, out of its bounds too") {
  clip::ClipModel model(tiny(), Key(1));
  for (const auto& [name, t] : model.parameters()) {
    if (name != "logit_scale") continue;
    at::Tensor scale = t;
    scale.set_requires_grad(false);
    scale.fill_(4.6055);  // the released weights', above ln 100 in its last places
    const at::Tensor before = scale.clone();
    model.after_step({});
    CHECK(at::equal(scale, before));
    return;
  }
  FAIL("no logit_scale");
}

TEST_CASE("a model without a vocabulary says what is missing") {
  clip::Config config = tiny();
  config.text.vocab_size = 0;
  CHECK_THROWS_AS(clip::ClipModel(config, Key(1)), Error);
}

TEST_CASE("weights that are missing, surplus or of another shape are all named") {
  clip::ClipModel model(tiny(), Key(1));
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, t] : model.parameters()) weights[name] = t.detach().clone();
  weights["logit_scale"] = at::full({}, 1.5);
  assign_weights(model, weights);
  CHECK(model.parameters().front().second.item<double>() == 1.5);
  weights["logit_scale"] = at::full({}, 2.5);
  weights["visual_projection.weight"] = at::randn({2, 2});
  weights["surplus"] = at::randn({1});
  weights.erase("text_model.final_layer_norm.bias");
  try {
    assign_weights(model, weights);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    const std::string text = error.what();
    CHECK(text.find("visual_projection.weight is [2, 2], expected [16, 32]") != std::string::npos);
    CHECK(text.find("surplus is not of this model") != std::string::npos);
    CHECK(text.find("text_model.final_layer_norm.bias is missing") != std::string::npos);
  }
  CHECK(model.parameters().front().second.item<double>() == 1.5);  // nothing was copied
}

TEST_CASE("positions of another grid are resized on import, and no weight is dropped") {
  clip::Config config = tiny();
  Weights weights;
  const std::string name = "vision_model.embeddings.position_embedding.weight";
  weights[name] = at::randn({1 + 16, 32});
  weights["text_model.embeddings.position_ids"] = at::randn({1, 77});
  weights["text_model.embeddings.position_embedding.weight"] = at::randn({77, 24});
  weights["input_resolution"] = at::tensor(224);
  weights["something"] = at::randn({3});
  const Weights out = clip::import_weights(weights, config);
  CHECK(out.size() == 3);
  CHECK(out.at(name).sizes() == at::IntArrayRef({1 + 4, 32}));
  CHECK(at::equal(out.at(name)[0], weights[name][0]));
  CHECK(out.at("text_model.embeddings.position_embedding.weight").size(0) == 10);
  CHECK(out.contains("something"));
}

TEST_CASE("positions of another grid are those that transformers interpolates") {
  const TensorFile file =
      load_safetensors(tandem::testing::fixture("clip_positions") / "reference.safetensors");
  const std::string name = "vision_model.embeddings.position_embedding.weight";
  for (const std::int64_t grid : {2, 3, 4, 5, 7}) {
    CAPTURE(grid);
    clip::Config config = tiny();
    config.vision.image_size = grid * config.vision.patch_size;
    const at::Tensor table = file.tensors.at("input.table");  // of 4 x 4 patches
    const at::Tensor ours = clip::import_weights({{name, table}}, config).at(name);
    const at::Tensor recorded =
        grid == 4 ? table : file.tensors.at("output.grid_" + std::to_string(grid));
    REQUIRE(ours.sizes() == recorded.sizes());
    CHECK(at::allclose(ours, recorded, 0, 1e-6));
  }
}

}  // namespace clip_test
