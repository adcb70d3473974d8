#pragma once
// Who may look at whom, as a value. Attention adds `bias` to its scores and knows nothing more;
// `causal` alone says the same as a lower triangle and lets the kernel skip the upper one.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace tandem::nn {

struct Mask {
  at::Tensor bias{};    // broadcasts to [B, H, T, S]; 0 = visible, lowest number = hidden; or empty
  bool causal = false;  // only without `bias`
  // Samples laid end to end in one row: where each begins, and the end: [0, n1, n1 + n2, ...]. A
  // token sees its own sample only; only with B = 1 and without `bias`. Empty: one sample a row.
  std::vector<std::int64_t> ends{};
};

Mask no_mask();
Mask causal_mask();
// mask: int or bool [B, S], 1 = a token. Keys of padding are hidden.
Mask padding_mask(const at::Tensor& mask);
// Both at once.
Mask causal_padding_mask(const at::Tensor& mask);

// ends: as in Mask; by ends_of or ends_of_segments.
Mask packed_mask(std::vector<std::int64_t> ends, bool causal);
// From a tensor of cumulative lengths [N + 1], read on the host. Samples of length 0 are left out.
std::vector<std::int64_t> ends_of(const at::Tensor& cu_seqlens);
// From the number of each token's sample, int64 [1, T], read on the host.
std::vector<std::int64_t> ends_of_segments(const at::Tensor& segments);

}  // namespace tandem::nn
