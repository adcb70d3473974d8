#include "nn/packed_attention.h"

#include <ATen/Context.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>

#include "tandem/tensor/device.h"

namespace tandem::nn {
namespace {

bool gpus_are_new_enough() {
  static const bool enough = [] {
    const std::vector<Gpu> all = gpus();
    return std::all_of(all.begin(), all.end(), [](const Gpu& gpu) { return gpu.major >= 8; });
  }();
  return enough;
}

bool flash_serves(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double dropout) {
  const auto type = q.scalar_type();
  return q.is_cuda() && (type == at::kHalf || type == at::kBFloat16) && k.scalar_type() == type &&
         v.scalar_type() == type && q.size(3) % 8 == 0 && q.size(3) <= 192 &&
         v.size(3) == q.size(3) && dropout == 0 && at::globalContext().userEnabledFlashSDP() &&
         gpus_are_new_enough();
}

at::Tensor rows_of_heads(const at::Tensor& x) {  // [1, H, T, d] -> [T, H, d]
  const at::Tensor rows = x.squeeze(0).transpose(0, 1);
  return rows.stride(-1) == 1 ? rows : rows.contiguous();
}

}  // namespace

std::optional<at::Tensor> attend_packed(const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v, const std::vector<std::int64_t>& ends,
                                        bool causal, double dropout) {
  if (!flash_serves(q, k, v, dropout)) return std::nullopt;
  if (ends.back() > std::numeric_limits<int>::max()) return std::nullopt;
  std::int64_t longest = 0;
  for (std::size_t i = 1; i < ends.size(); ++i) longest = std::max(longest, ends[i] - ends[i - 1]);
  // From pinned memory: the host does not wait for the device.
  const at::Tensor lengths =
      at::tensor(std::vector<int>(ends.begin(), ends.end()), at::kInt).pin_memory();
  const at::Tensor offsets = lengths.to(q.device(), /*non_blocking=*/true);
  const auto result =
      at::_flash_attention_forward(rows_of_heads(q), rows_of_heads(k), rows_of_heads(v), offsets,
                                   offsets, longest, longest, /*dropout_p=*/0, causal,
                                   /*return_debug_mask=*/false);
  return std::get<0>(result).flatten(1).unsqueeze(0);  // [T, H, d] -> [1, T, H d]
}

}  // namespace tandem::nn
