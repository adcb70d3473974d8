#pragma once
// How far one model's next words are from another's, for evaluations: no gradient.
// Letters: B texts, T tokens, D width, V vocabulary.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tandem::objectives {

// A model at the tokens of texts. D may differ between models, V may not.
struct WordScores {
  at::Tensor hidden;  // [B, T, D]
  at::Tensor head;    // [V, D]
};

// Sums over the labelled tokens of each row of KL(p || q) = sum over the vocabulary of p (log p -
// log q), given the tokens before: fp32 [B], never below 0. labels [B, T] as they stand beside
// their ids (moved by one in here). chunk: tokens whose [chunk, V] stand at once, 0: some tens of
// megabytes. Waits for the device.
at::Tensor answer_divergence(const WordScores& p, const WordScores& q, const at::Tensor& labels,
                             std::int64_t chunk = 0);

// Labelled tokens of each row that have a token before them: int64 [B].
at::Tensor answer_tokens(const at::Tensor& labels);

}  // namespace tandem::objectives
