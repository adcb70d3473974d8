#pragma once
// An exponential moving average of the trained weights: after each step
//   average = d average + (1 - d) weights,
// d = decay, or min(decay, (1 + n) / (10 + n)) at update n with warm-up (TensorFlow's
// ExponentialMovingAverage with num_updates). It starts as a copy of the weights. All of it happens
// on the device, with foreach operations; the host waits for nothing. A step that changed nothing
// (Optimizer::Norm::broken) leaves it as it is, in every bit.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/config/run_config.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/train/rules.h"

namespace tandem::train {

class Ema {
 public:
  // Of the trained ones of `parameters`, which are in the order of `resolved`.
  Ema(const config::EmaConfig& config, const std::vector<ResolvedParameter>& resolved,
      const NamedTensors& parameters);

  // update: 0, 1, ... of the stage. broken: scalar, 1 for a step that changed nothing.
  void update(std::int64_t update, const at::Tensor& broken);

  // Exchanges weights and averages, in place; a second call undoes it.
  void exchange();

  // By the parameters' names. Not while they are exchanged.
  const NamedTensors& state() const { return averages_; }
  // Throws Error(data) naming what is missing, surplus or of another shape.
  void load(const NamedTensors& state);

 private:
  std::vector<at::Tensor> tensors() const;

  config::EmaConfig config_;
  NamedTensors averages_;
  std::vector<at::Tensor> weights_;
};

// The averages stand in the parameters while it lives. Null: nothing is exchanged.
class Averaged {
 public:
  explicit Averaged(Ema* ema) : ema_(ema) {
    if (ema_ != nullptr) ema_->exchange();
  }
  ~Averaged() {
    if (ema_ != nullptr) ema_->exchange();
  }
  Averaged(const Averaged&) = delete;
  Averaged& operator=(const Averaged&) = delete;

 private:
  Ema* ema_;
};

}  // namespace tandem::train
