#pragma once
// Names for what follows from weights and samples: hashes of tensors by their numbers.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "tandem/base/hash.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::models {

// Its type, its size and its numbers; of an undefined tensor, that it is none.
void add_tensor(Hash128& hash, const at::Tensor& tensor);

// Of texts and of tensors with their names, in their order; 32 letters.
std::string hash_of(const std::vector<std::string>& texts, const NamedTensors& tensors);

}  // namespace tandem::models
