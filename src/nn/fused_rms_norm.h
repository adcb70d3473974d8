#pragma once
// RMSNorm by the kernels of ours (cuda/rms_norm_kernel.h): what nn/rms_norm.cpp takes on a GPU.

#include <ATen/core/Tensor.h>

#include <optional>

namespace tandem::nn {

struct FusedRmsNorm {
  at::Tensor out;  // the norm of x, or of `sum`
  at::Tensor sum;  // x + delta; undefined without delta
};

// delta: added to x first, of its shape; undefined: none. Nothing where no kernel serves these
// tensors: on this device, of these types, without numbers.
std::optional<FusedRmsNorm> fused_rms_norm(const at::Tensor& x, const at::Tensor& delta,
                                           const at::Tensor& weight, double eps);

}  // namespace tandem::nn
