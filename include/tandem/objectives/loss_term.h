#pragma once
// What every objective returns. Only the training loop divides, by the count over all ranks and
// micro-batches: so 1 x B == k x (B/k) == B over k ranks.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace tandem {

struct LossTerm {
  at::Tensor sum;    // scalar fp32, differentiable
  double count = 0;  // how many rows or tokens the sum holds
};

using LossTerms = std::map<std::string, LossTerm>;

}  // namespace tandem
