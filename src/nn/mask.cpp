#include "tandem/nn/mask.h"

#include <ATen/ops/logical_and.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <limits>

namespace tandem::nn {
namespace {

// visible: bool. The lowest finite number, not -inf: a row that sees nothing (padding on the left)
// then has a uniform softmax instead of NaN.
at::Tensor bias_of(const at::Tensor& visible) {
  at::Tensor bias = at::zeros(visible.sizes(), visible.options().dtype(at::kFloat));
  return bias.masked_fill_(visible.logical_not(), std::numeric_limits<float>::lowest());
}

}  // namespace

Mask no_mask() { return {}; }

Mask causal_mask() { return {{}, true}; }

Mask padding_mask(const at::Tensor& mask) {
  return {bias_of(mask.to(at::kBool).unsqueeze(1).unsqueeze(1)), false};  // [B, 1, 1, S]
}

Mask causal_padding_mask(const at::Tensor& mask) {
  const std::int64_t length = mask.size(1);
  const at::Tensor keys = mask.to(at::kBool).unsqueeze(1).unsqueeze(1);  // [B, 1, 1, S]
  const at::Tensor lower = at::ones({length, length}, keys.options()).tril();
  return {bias_of(at::logical_and(keys, lower)), false};  // [B, 1, T, S]
}

}  // namespace tandem::nn
