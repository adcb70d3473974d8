#pragma once
// The next word's cross entropy, in pieces: the scores of all words for all tokens, [N, V], never
// stand in memory at once, neither forward nor backward.
// Letters: B texts, T tokens, N = rows of hidden states, D width, V vocabulary.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "tandem/objectives/loss_term.h"

namespace tandem::objectives {

struct LmOptions {
  double smoothing = 0;    // as in cross_entropy (token_loss.h)
  std::int64_t chunk = 0;  // rows whose scores stand at once; 0: some tens of megabytes of them
};

// hidden [..., D], weight [V, D], labels int64 [...]: the word that each row is to give (already
// shifted), -100 = none. count: how many are not -100, counted on the host (host_count); -1: not
// known. With it, rows without a label are neither computed nor touched by the gradient. Where a
// gradient is wanted of hidden or weight, it is computed in the forward pass, piece by piece; each
// may be frozen. backward runs once. Scores in the type of hidden (or autocast's), the rest in
// fp32.
LossTerm lm_loss(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                 double count, const LmOptions& options = {});

// How many labels are not -100 where they stand on the CPU, else -1: nobody waits for a device.
double host_count(const at::Tensor& labels);

// The same with [N, V] whole: the twin that lm_loss is tested against.
LossTerm lm_loss_plain(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                       double count, const LmOptions& options = {});

// Labels of a text, [B, T], moved by one: row t gets the label of token t + 1, the last one -100.
at::Tensor shifted_labels(const at::Tensor& labels);

// -log p of each label, fp32 of labels' shape, 0 where there is none (smoothing is not applied).
// For losses of whole answers, whose gradient is known only at the end: backward computes the
// pieces again.
at::Tensor token_losses(const at::Tensor& hidden, const at::Tensor& weight,
                        const at::Tensor& labels, double count, const LmOptions& options = {});

}  // namespace tandem::objectives
