#pragma once
// Draws of a training step, from torch's generator: called within run_block, whose key sets it.

#include <ATen/core/Tensor.h>

namespace tandem::nn {

// x where not `training` or rate is 0.
at::Tensor drop(const at::Tensor& x, double rate, bool training);

// Stochastic depth (Huang et al. 2016): whole samples of a residual branch are dropped, the others
// divided by 1 - rate. x: [B, ...].
at::Tensor drop_path(const at::Tensor& x, double rate, bool training);

}  // namespace tandem::nn
