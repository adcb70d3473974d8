#pragma once
// Cross entropy over classes or tokens, as a sum and a count.

#include <ATen/core/Tensor.h>

#include "tandem/objectives/loss_term.h"

namespace tandem::objectives {

inline constexpr std::int64_t ignored = -100;

// logits [..., V], labels int64 [...], -100 = not counted; smoothing e: (1 - e) nll + e / V times
// the sum of all -log p (PyTorch's). count: the host's number of counted labels, which the caller
// knows. In fp32.
LossTerm cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double count,
                       double smoothing = 0);

// Rows that are counted, on the host. labels on the CPU.
double count_labels(const at::Tensor& labels);

}  // namespace tandem::objectives
