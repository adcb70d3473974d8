#include "tandem/nn/linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/nn/outline.h"

namespace tandem::nn {

at::Tensor make_parameter(at::IntArrayRef shape) {
  const at::Device device = Outline::drawn() ? at::kMeta : at::kCPU;
  return at::empty(shape, at::TensorOptions(at::kFloat).device(device)).set_requires_grad(true);
}

Linear::Linear(std::int64_t in, std::int64_t out, bool with_bias) {
  weight = register_parameter("weight", make_parameter({out, in}));
  if (with_bias) bias = register_parameter("bias", make_parameter({out}));
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  const at::Tensor y = at::linear(x, weight, bias);
  return adapted() ? y + addition(x) : y;
}

void Linear::attach(std::int64_t rank, double new_scale, double new_dropout, Key key) {
  TANDEM_CHECK(!adapted() && rank > 0, "[lora] expected a layer without an adapter");
  const std::int64_t out = weight.size(0), in = weight.size(1);
  at::Tensor down = at::empty({rank, in}, at::kFloat);
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  Random random(key);
  auto* values = down.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < down.numel(); ++i) {
    values[i] = static_cast<float>(random.uniform(-bound, bound));
  }
  a = down.to(weight.options()).set_requires_grad(true);
  b = at::zeros({out, rank}, weight.options()).set_requires_grad(true);
  scale = new_scale;
  dropout = new_dropout;
  register_module("lora_A", std::make_shared<torch::nn::Module>())->register_parameter("weight", a);
  register_module("lora_B", std::make_shared<torch::nn::Module>())->register_parameter("weight", b);
}

void Linear::merge() {
  TANDEM_CHECK(adapted(), "[lora] expected a layer with an adapter");
  const at::NoGradGuard no_grad;
  weight.add_(at::matmul(b, a), scale);
  unregister_module("lora_A");
  unregister_module("lora_B");
  a = at::Tensor();
  b = at::Tensor();
}

at::Tensor Linear::addition(const at::Tensor& x) const {
  if (!adapted()) {
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return at::zeros(shape, x.options());
  }
  const at::Tensor in = dropout > 0 && is_training() ? at::dropout(x, dropout, true) : x;
  return at::linear(at::linear(in, a), b) * scale;
}

at::Tensor add_adapters(const at::Tensor& packed, const at::Tensor& x,
                        std::initializer_list<const Linear*> layers) {
  const auto adapted = [](const Linear* layer) { return layer->adapted(); };
  if (std::none_of(layers.begin(), layers.end(), adapted)) return packed;
  std::vector<at::Tensor> parts;
  for (const Linear* layer : layers) parts.push_back(layer->addition(x).to(packed.scalar_type()));
  return packed + at::cat(parts, -1);
}

LayerNorm::LayerNorm(std::int64_t width, double eps) : eps(eps) {
  weight = register_parameter("weight", make_parameter({width}));
  bias = register_parameter("bias", make_parameter({width}));
}

at::Tensor LayerNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, eps);
}

Embedding::Embedding(std::int64_t rows, std::int64_t width) {
  weight = register_parameter("weight", make_parameter({rows, width}));
}

at::Tensor Embedding::forward(const at::Tensor& ids) const { return at::embedding(weight, ids); }

}  // namespace tandem::nn
