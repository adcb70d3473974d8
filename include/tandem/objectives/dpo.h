#pragma once
// Direct preference optimisation (Rafailov et al., arXiv:2305.18290): a model is to prefer one
// answer to another more than a frozen reference does.
//
//   h = (log p(chosen) - log p(rejected)) - the same of the reference
//   sigmoid  -(1 - e) log sigma(beta h) - e log sigma(-beta h); e > 0 is cDPO
//   robust   the same with +e of the second term, divided by 1 - 2e (arXiv:2403.00409)
//   ipo      (h - 1 / (2 beta))^2 (arXiv:2310.12036)
// log p of an answer is the sum over its tokens, its end mark included, not their mean.
// Sources: eric-mitchell/direct-preference-optimization f8b8c0f, trainers.py; huggingface/trl
// f2cd577 (robust; its "sigmoid" ignores label smoothing, ours does not).

#include <ATen/core/Tensor.h>

#include "tandem/objectives/lm.h"
#include "tandem/objectives/loss_term.h"

namespace tandem::objectives {

enum class DpoKind { sigmoid, ipo, robust };

struct DpoOptions {
  DpoKind kind = DpoKind::sigmoid;
  double beta = 0.1;
  double smoothing = 0;         // e: the share of pairs taken to be labelled the wrong way round
  bool reference_free = false;  // the reference prefers neither
};

// Sums of log p over the labelled tokens of each row, fp32 [B]. hidden [B, T, D], head [V, D],
// labels [B, T] as they stand beside their ids (moved by one in here); count: labels that have a
// token before them, on the host (-1: not known). Never holds [B, T, V].
at::Tensor answer_log_probs(const at::Tensor& hidden, const at::Tensor& head,
                            const at::Tensor& labels, double count, const LmOptions& options = {});

struct DpoTerm {
  LossTerm loss{};  // over the pairs
  // [P], without gradient: beta times how much likelier than by the reference.
  at::Tensor chosen_reward{}, rejected_reward{};
};

// Log-probabilities [P] each; those of the reference may be undefined with reference_free. Throws
// Error(config) for options out of their ranges.
DpoTerm dpo_loss(const at::Tensor& chosen, const at::Tensor& rejected,
                 const at::Tensor& reference_chosen, const at::Tensor& reference_rejected,
                 const DpoOptions& options);

}  // namespace tandem::objectives
