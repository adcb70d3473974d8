#pragma once
// Which of two answers a model prefers.

#include "tandem/eval/task.h"

namespace tandem::eval {

// Pairs of answers behind one prompt (Sample::turns and rejected), by Abilities::prefer. Letters:
// m = log p(chosen) - log p(rejected), sums over each answer's tokens; r the same of the frozen
// reference, where the model holds one (in training: a stage of preferences, or of adapters alone;
// weights opened from a file have none).
//   accuracy         share of pairs with m > 0, and of each kind; ties count half
//   margin           mean of m
//   reward_accuracy  share of pairs with m - r > 0; ties count half (1/2 at the reference)
//   reward_margin    mean of beta (m - r), the implicit rewards' difference
//   kl               KL(model || reference) a token of the chosen answers: at every token the whole
//                    vocabulary's, given the data's tokens before it, summed and divided by all
//                    tokens. An estimate of the KL on the model's own answers; never below 0
// A tie is a difference within rounding: so identical answers are one in any batch. A pair whose
// margin is no number counts as wrong and stays out of the other means.
Metrics preference(const Input& input);

}  // namespace tandem::eval
