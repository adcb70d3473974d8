#pragma once
// The norm by the root of the mean square. Source: Zhang and Sennrich 2019;
// transformers:modeling_llama.py (LlamaRMSNorm), whose order of casts this has.

#include <torch/nn/module.h>

#include <cstdint>
#include <utility>

namespace tandem::nn {

struct RmsNorm : torch::nn::Module {
  at::Tensor weight;  // [width]
  double eps;

  RmsNorm(std::int64_t width, double eps);
  // [..., width] -> the same. Normed in fp32 (fp64 of fp64), cast back, and only then multiplied by
  // the weight.
  at::Tensor forward(const at::Tensor& x) const;
  // x + delta, and its norm: one kernel on a GPU. delta: of x's shape.
  std::pair<at::Tensor, at::Tensor> forward_sum(const at::Tensor& x, const at::Tensor& delta) const;
};

}  // namespace tandem::nn
