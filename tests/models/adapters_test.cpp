#include "tandem/models/adapters.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "models/clip/model.h"
#include "tandem/base/error.h"

namespace adapters_test {

using namespace tandem;
using namespace tandem::models;

namespace {

clip::ClipModel make() {
  clip::Config config;
  config.vision.image_size = 16;
  config.vision.patch_size = 8;
  config.vision.width = config.text.width = 32;
  config.vision.layers = config.text.layers = 2;
  config.vision.heads = config.text.heads = 2;
  config.text.context_length = 10;
  config.text.vocab_size = 50;
  config.text.eos_id = 40;
  config.text.pad_id = 0;
  config.embed_dim = 16;
  return clip::ClipModel(config, Key(1));
}

Batch batch() {
  at::manual_seed(3);
  Batch batch;
  batch.positions.assign(4, 0);
  batch.images = Images{at::randint(0, 256, {4, 3, 16, 16}, at::kByte)};
  at::Tensor ids = at::randint(1, 39, {4, 7}, at::kLong);
  for (std::int64_t i = 0; i < 4; ++i) ids[i][3 + i % 4] = 40;
  batch.text = Tokens{ids, at::ones_like(ids)};
  return batch;
}

const LossRequest request{{{"itc", 1.0}}};

at::Tensor loss(Model& model, bool recompute = false) {
  StepContext context;
  context.key = Key(7);
  context.recompute = recompute;
  at::manual_seed(11);
  return model.losses(batch(), request, context).at("itc").sum;
}

std::vector<Adapter> everywhere(const Model& model, double dropout = 0) {
  std::vector<Adapter> adapters;
  for (const std::string& layer : linear_layers(model))
    adapters.push_back({layer, 2, 4.0, dropout});
  return adapters;
}

std::map<std::string, at::Tensor> tensors(const Model& model) {
  const NamedTensors all = model.parameters();
  return {all.begin(), all.end()};
}

// B's are zeros at first: other values make the adapters count.
void fill_up(Model& model) {
  const at::NoGradGuard no_grad;
  std::uint64_t seed = 0;
  for (auto& [name, tensor] : model.parameters()) {
    if (!name.ends_with("lora_B.weight")) continue;
    Random random(Key(++seed));
    tensor.copy_(at::ones_like(tensor).mul_(random.uniform(-0.2, 0.2)));
  }
}

}  // namespace

TEST_CASE("every Linear layer of the towers can have an adapter") {
  const auto model = make();
  const std::vector<std::string> layers = linear_layers(model);
  CHECK(layers.size() == 2 + 2 * 2 * 6);
  CHECK(std::count(layers.begin(), layers.end(), "text_model.encoder.layers.1.self_attn.v_proj") ==
        1);
  CHECK(std::count(layers.begin(), layers.end(), "visual_projection") == 1);
}

TEST_CASE("a model with fresh adapters gives the same bits as before") {
  auto model = make();
  const at::Tensor before = loss(model);
  const std::size_t count = model.parameters().size();
  attach_adapters(model, everywhere(model), Key(5));
  CHECK(model.parameters().size() == count + 2 * linear_layers(model).size());
  CHECK(at::equal(loss(model), before));
  const auto all = tensors(model);
  const std::string layer = "text_model.encoder.layers.0.mlp.fc1";
  const at::Tensor down = all.at(layer + ".lora_A.weight");
  CHECK(down.sizes() == at::IntArrayRef{2, 32});
  CHECK(down.abs().max().item<double>() <= 1 / std::sqrt(32.0));
  CHECK(down.abs().max().item<double>() > 0.5 / std::sqrt(32.0));
  CHECK(all.at(layer + ".lora_B.weight").abs().max().item<double>() == 0);
  CHECK_FALSE(at::equal(down, all.at("text_model.encoder.layers.1.mlp.fc1.lora_A.weight")));
}

TEST_CASE("an adapter is W + scale B A, in every layer, and merging gives just that") {
  auto model = make(), formula = make();
  attach_adapters(model, everywhere(model), Key(5));
  fill_up(model);
  const auto with = tensors(model);
  for (const auto& [name, weight] : tensors(formula)) {
    const std::string layer = name.substr(0, name.rfind('.'));
    const auto a = with.find(layer + ".lora_A.weight");
    if (a == with.end() || !name.ends_with(".weight")) continue;
    const at::NoGradGuard no_grad;
    weight.detach().add_(at::matmul(with.at(layer + ".lora_B.weight"), a->second), 4.0);
  }
  auto fresh = make();
  const at::Tensor plain = loss(fresh);
  CHECK_FALSE(at::allclose(loss(model), plain, 1e-3, 1e-3));
  CHECK(at::allclose(loss(model), loss(formula), 1e-5, 1e-6));
  CHECK(merge_adapters(model));
  CHECK_FALSE(merge_adapters(model));
  const auto merged = tensors(model), wanted = tensors(formula);
  REQUIRE(merged.size() == wanted.size());
  for (const auto& [name, tensor] : merged) {
    CAPTURE(name);
    CHECK(at::equal(tensor, wanted.at(name)));
  }
}

TEST_CASE("dropout of adapters draws the same in a recomputed block, and nothing in evaluation") {
  auto model = make();
  attach_adapters(model, everywhere(model, 0.5), Key(5));
  fill_up(model);
  const auto gradients = [&](bool recompute) {
    model.train(true);
    for (auto& [name, tensor] : model.parameters()) tensor.mutable_grad().reset();
    const at::Tensor sum = loss(model, recompute);
    sum.backward();
    std::map<std::string, at::Tensor> found{{"loss", sum.detach()}};
    for (auto& [name, tensor] : model.parameters()) found[name] = tensor.grad().clone();
    return found;
  };
  const auto kept = gradients(false), again = gradients(true);
  for (const auto& [name, gradient] : kept) {
    CAPTURE(name);
    CHECK(at::equal(gradient, again.at(name)));
  }
  model.train(false);
  const at::Tensor still = loss(model);
  CHECK(at::equal(still, loss(model)));
  CHECK_FALSE(at::equal(still, kept.at("loss")));
}

TEST_CASE("a layer that the model does not have is refused, and names are told apart") {
  auto model = make();
  CHECK_THROWS_WITH(attach_adapters(model, {{"text_model.nothing", 2, 1.0, 0}}, Key(1)),
                    Catch::Contains("text_model.nothing"));
  CHECK(adapted_layer("a.b.lora_A.weight") == "a.b");
  CHECK(adapted_layer("a.b.lora_B.weight") == "a.b");
  CHECK_FALSE(adapted_layer("a.b.weight"));
}

}  // namespace adapters_test
