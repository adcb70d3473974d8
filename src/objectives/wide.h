#pragma once
// Losses are fp32 arithmetic whatever the model runs in.

#include <ATen/core/Tensor.h>

#include "tandem/tensor/autocast.h"

namespace tandem::objectives {

// fp64, which the tests' differences need, stays.
inline at::Tensor wide(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

}  // namespace tandem::objectives
