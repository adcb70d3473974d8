#pragma once
// Image-text contrast against slowly moving copies and queues of their features, with soft targets.
// Source: Li et al. 2021 (ALBEF), 3.2 and 3.3; salesforce/ALBEF:models/model_pretrain.py.

#include <ATen/core/Tensor.h>

#include "tandem/objectives/loss_term.h"

namespace tandem::objectives {

// Rows are the samples of one group, columns the same samples (of the copies) and then the queue.
struct MomentumItcInput {
  at::Tensor image, text;              // [B, E], L2-normalised
  at::Tensor image_copy, text_copy;    // [B, E], of the momentum copies, detached
  at::Tensor image_queue, text_queue;  // [E, Q]
  at::Tensor temperature;              // scalar; similarities are divided by it
  double alpha = 0;                    // share of the soft targets
  at::Tensor same;                     // [B, B + Q] 1 where row and column show the same picture;
                                       // undefined: only the sample itself
};
struct MomentumItc {
  LossTerm loss;                            // (image rows + text rows) / 2, count B
  at::Tensor image_to_text, text_to_image;  // [B, B + Q], similarities over temperature
};
// In fp32, also within autocast (fp64 for fp64 features). The copies and the queues get no
// gradient. Throws Error(data) when shapes disagree.
MomentumItc momentum_itc(const MomentumItcInput& input);

}  // namespace tandem::objectives
