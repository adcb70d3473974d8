#include "tandem/nn/mask.h"

#include <ATen/ops/logical_and.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <limits>
#include <utility>

#include "tandem/base/error.h"

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

Mask causal_mask() {
  Mask mask;
  mask.causal = true;
  return mask;
}

Mask padding_mask(const at::Tensor& mask) {
  return {bias_of(mask.to(at::kBool).unsqueeze(1).unsqueeze(1))};  // [B, 1, 1, S]
}

Mask causal_padding_mask(const at::Tensor& mask) {
  const std::int64_t length = mask.size(1);
  const at::Tensor keys = mask.to(at::kBool).unsqueeze(1).unsqueeze(1);  // [B, 1, 1, S]
  const at::Tensor lower = at::ones({length, length}, keys.options()).tril();
  return {bias_of(at::logical_and(keys, lower))};  // [B, 1, T, S]
}

Mask packed_mask(std::vector<std::int64_t> ends, bool causal) {
  Mask mask;
  mask.causal = causal;
  if (ends.size() > 2) mask.ends = std::move(ends);
  return mask;
}

std::vector<std::int64_t> ends_of(const at::Tensor& cu_seqlens) {
  TANDEM_CHECK(cu_seqlens.dim() == 1 && cu_seqlens.size(0) > 0,
               "[mask] expected cumulative lengths [N + 1]");
  const at::Tensor host = cu_seqlens.to(at::kCPU, at::kLong).contiguous();
  const auto* values = host.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> ends{values[0]};
  for (std::int64_t i = 1; i < host.size(0); ++i) {
    if (values[i] > ends.back()) ends.push_back(values[i]);
  }
  return ends;
}

std::vector<std::int64_t> ends_of_segments(const at::Tensor& segments) {
  TANDEM_CHECK(segments.dim() == 2 && segments.size(0) == 1, "[mask] expected segments [1, T]");
  const at::Tensor host = segments.to(at::kCPU, at::kLong).contiguous();
  const auto* values = host.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> ends{0};
  for (std::int64_t i = 1; i <= host.size(1); ++i) {
    if (i == host.size(1) || values[i] != values[i - 1]) ends.push_back(i);
  }
  return ends;
}

}  // namespace tandem::nn
