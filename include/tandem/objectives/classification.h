#pragma once
// Answers of a closed list, as sums and counts over rows. Letters: B rows, C answers.

#include <ATen/core/Tensor.h>

#include "tandem/objectives/loss_term.h"

namespace tandem::objectives {

// Each answer is a question of its own, worth a score from 0 to 1: the binary cross entropies of a
// row are summed, so that the mean over the rows is the code's mean over all times C.
// logits, scores [B, C]. In fp32. Source: Kim et al. 2021 (ViLT), section 4.3;
// dandelin/ViLT:vilt/modules/objectives.py, compute_vqa.
LossTerm answer_scores(const at::Tensor& logits, const at::Tensor& scores);

// The cross entropy with the distribution that other logits give (a momentum copy's), which get no
// gradient. logits, given [B, C]. In fp32. Source: Li et al. 2021 (ALBEF), equation 6.
LossTerm soft_cross_entropy(const at::Tensor& logits, const at::Tensor& given);

}  // namespace tandem::objectives
