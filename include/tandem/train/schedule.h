#pragma once
// The learning rate of a step, and how many steps a stage has: closed forms, nothing to save.

#include <cstdint>

#include "tandem/config/run_config.h"

namespace tandem::train {

// Of step 0, 1, ... of `total`. Warm-up is linear and reaches the peak at its last step
// (open_clip:src/open_clip_train/scheduler.py); then cosine or linear to min_lr at step `total`, or
// constant.
double learning_rate(const config::OptimizerConfig& optimizer, std::int64_t step,
                     std::int64_t total);

// `until` in steps; epoch_size: samples of one epoch of the stage's mix. Rounded up.
std::int64_t total_steps(const config::StageConfig& stage, std::int64_t epoch_size);

}  // namespace tandem::train
