#include "tandem/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tandem::train {

double learning_rate(const config::OptimizerConfig& optimizer, std::int64_t step,
                     std::int64_t total) {
  if (step < optimizer.warmup) {
    return optimizer.lr * static_cast<double>(step + 1) / static_cast<double>(optimizer.warmup);
  }
  if (optimizer.schedule == "constant") return optimizer.lr;
  const auto rest = static_cast<double>(std::max<std::int64_t>(total - optimizer.warmup, 1));
  const double done = std::min(1.0, static_cast<double>(step - optimizer.warmup) / rest);
  const double share =
      optimizer.schedule == "linear" ? 1 - done : 0.5 * (1 + std::cos(std::numbers::pi * done));
  return optimizer.min_lr + (optimizer.lr - optimizer.min_lr) * share;
}

std::int64_t total_steps(const config::StageConfig& stage, std::int64_t epoch_size) {
  const std::int64_t batch = stage.data.batch;
  const auto up = [batch](std::int64_t samples) { return (samples + batch - 1) / batch; };
  if (stage.until.steps > 0) return stage.until.steps;
  if (stage.until.samples > 0) return up(stage.until.samples);
  return up(stage.until.epochs * epoch_size);
}

}  // namespace tandem::train
