#pragma once
// Initial values: a pure function of the key and the tensor's name, the same for any number of
// threads. No draw is taken from torch's generators.

#include <ATen/core/Tensor.h>

#include <string_view>

#include "tandem/base/random.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::nn {

// In place, without gradient; `tensor` is contiguous fp32 on the CPU.
void fill_normal(at::Tensor tensor, double std, Key init, std::string_view name);
void fill_uniform(at::Tensor tensor, double bound, Key init, std::string_view name);  // [-b, b)
void fill_constant(at::Tensor tensor, double value);

// BERT's rule for each of `parameters` (its full name names the draw): biases 0, norms' weights 1,
// all else normal. A norm is known by "norm" in its name, in any case.
void initialize_normal(const NamedTensors& parameters, double std, Key init);

}  // namespace tandem::nn
