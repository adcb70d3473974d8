#pragma once
// silu(gate) up by the kernels of ours (cuda/swiglu_kernel.h): what nn/mlp.cpp takes on a GPU.

#include <ATen/core/Tensor.h>

#include <optional>

namespace tandem::nn {

// gate and up are of one shape. Nothing where no kernel serves these tensors.
std::optional<at::Tensor> fused_swiglu(const at::Tensor& gate, const at::Tensor& up);

}  // namespace tandem::nn
