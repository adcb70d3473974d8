#pragma once
// Who may look at whom, as a value. Attention adds `bias` to its scores and knows nothing more;
// `causal` alone says the same as a lower triangle and lets the kernel skip the upper one.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tandem::nn {

struct Mask {
  at::Tensor bias{};    // broadcasts to [B, H, T, S]; 0 = visible, lowest number = hidden; or empty
  bool causal = false;  // only without `bias`
};

Mask no_mask();
Mask causal_mask();
// mask: int or bool [B, S], 1 = a token. Keys of padding are hidden.
Mask padding_mask(const at::Tensor& mask);
// Both at once.
Mask causal_padding_mask(const at::Tensor& mask);

}  // namespace tandem::nn
