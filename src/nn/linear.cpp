#include "tandem/nn/linear.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>

namespace tandem::nn {

at::Tensor make_parameter(at::IntArrayRef shape) {
  return at::empty(shape, at::kFloat).set_requires_grad(true);
}

Linear::Linear(std::int64_t in, std::int64_t out, bool with_bias) {
  weight = register_parameter("weight", make_parameter({out, in}));
  if (with_bias) bias = register_parameter("bias", make_parameter({out}));
}

at::Tensor Linear::forward(const at::Tensor& x) const { return at::linear(x, weight, bias); }

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
