#pragma once
// The learning rate of a step, and how many steps a stage has: closed forms, nothing to save.

#include <cstdint>

#include "tandem/config/run_config.h"

namespace tandem::train {

// Of step s = 0, 1, ... of `total` T. Warm-up of w steps is linear and reaches the peak at its last
// step, lr (s + 1) / w (open_clip:src/open_clip_train/scheduler.py). After it, with
// d = (s - w) / (T - w):
//   cosine      min_lr + (lr - min_lr) (1 + cos(pi d)) / 2              (the same file)
//   linear      min_lr + (lr - min_lr) (1 - d)
//   polynomial  min_lr + (lr - min_lr) (1 - d)^power  (transformers:optimization.py,
//               get_polynomial_decay_schedule_with_warmup, whose lr_end is min_lr)
//   step        max(min_lr, lr gamma^k), k: milestones that are at most s, or floor(s / step_size)
//               (torch:optim/lr_scheduler.py, MultiStepLR and StepLR; the floor as in
//               LAVIS:common/optims.py). s counts from the stage's start, warm-up included.
//   constant    lr
double learning_rate(const config::OptimizerConfig& optimizer, std::int64_t step,
                     std::int64_t total);

// `until` in steps; epoch_size: samples of one epoch of the stage's mix. Rounded up.
std::int64_t total_steps(const config::StageConfig& stage, std::int64_t epoch_size);

}  // namespace tandem::train
