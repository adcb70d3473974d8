#include "tandem/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tandem::train {

namespace {

double stepped(const config::OptimizerConfig& o, std::int64_t step) {
  const auto passed = std::upper_bound(o.milestones.begin(), o.milestones.end(), step);
  const std::int64_t times = o.step_size > 0 ? step / o.step_size : passed - o.milestones.begin();
  return std::max(o.min_lr, o.lr * std::pow(o.gamma, static_cast<double>(times)));
}

// Of what lies between the peak and min_lr, at the share `done` of the way.
double share_left(const config::OptimizerConfig& o, double done) {
  if (o.schedule == "linear") return 1 - done;
  if (o.schedule == "polynomial") return std::pow(1 - done, o.power);
  return 0.5 * (1 + std::cos(std::numbers::pi * done));
}

}  // namespace

double learning_rate(const config::OptimizerConfig& optimizer, std::int64_t step,
                     std::int64_t total) {
  if (step < optimizer.warmup) {
    return optimizer.lr * static_cast<double>(step + 1) / static_cast<double>(optimizer.warmup);
  }
  if (optimizer.schedule == "constant") return optimizer.lr;
  if (optimizer.schedule == "step") return stepped(optimizer, step);
  const auto rest = static_cast<double>(std::max<std::int64_t>(total - optimizer.warmup, 1));
  const double done = std::min(1.0, static_cast<double>(step - optimizer.warmup) / rest);
  return optimizer.min_lr + (optimizer.lr - optimizer.min_lr) * share_left(optimizer, done);
}

std::int64_t total_steps(const config::StageConfig& stage, std::int64_t epoch_size) {
  const std::int64_t batch = stage.data.batch;
  const auto up = [batch](std::int64_t samples) { return (samples + batch - 1) / batch; };
  if (stage.until.steps > 0) return stage.until.steps;
  if (stage.until.samples > 0) return up(stage.until.samples);
  return up(stage.until.epochs * epoch_size);
}

}  // namespace tandem::train
