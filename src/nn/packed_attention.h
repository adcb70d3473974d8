#pragma once
// Attention of samples laid end to end, all of them by one kernel: ATen's flash attention with
// cumulative lengths, on a GPU. Source: Dao 2023 (FlashAttention-2).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace tandem::nn {

// q [1, H, T, d], k and v [1, K, T, d], ends as in Mask -> [1, T, H d]. Nothing where that kernel
// does not serve: not on a GPU of compute capability 8.0 or later, not of half precision, d not a
// multiple of 8 or above 192 (its backward pass wants that), with dropout, or flash attention
// switched off. Samples are then attended to one by one.
std::optional<at::Tensor> attend_packed(const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v, const std::vector<std::int64_t>& ends,
                                        bool causal, double dropout);

}  // namespace tandem::nn
