#pragma once
// Rotary positions by the kernel of ours (cuda/rotate_kernel.h): what nn/rotary.cpp takes on a GPU.

#include <optional>

#include "tandem/nn/rotary.h"

namespace tandem::nn {

// x [B, H, T, d] -> the same. over: x may be written over, which is done where no gradient is
// recorded: recording it on a view, as heads are, would copy the whole gradient again. Nothing
// where no kernel serves these tensors.
std::optional<at::Tensor> fused_rotate(const at::Tensor& x, const Rotary& rotary, bool over);

}  // namespace tandem::nn
