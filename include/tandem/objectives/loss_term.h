#pragma once
// What every objective returns. Only the training loop divides, by the count over all ranks and
// micro-batches: so 1 x B == k x (B/k) == B over k ranks.

#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <string>

namespace tandem {

struct LossTerm {
  at::Tensor sum;    // scalar fp32, differentiable
  double count = 0;  // how many rows or tokens the sum holds
};

// What a loss gives to one who guesses: shown beside it, so that a person sees whether anything is
// learned.
struct ChanceLevel {
  double value = 0;
  std::string meaning{};
};
// Of a cross entropy over `choices`: the pairs of a batch, yes and no, the tokens of a vocabulary.
inline ChanceLevel chance_among(std::int64_t choices) {
  return {std::log(static_cast<double>(choices)), "ln " + std::to_string(choices)};
}

using LossTerms = std::map<std::string, LossTerm>;

}  // namespace tandem
