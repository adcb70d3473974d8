#pragma once
// AdamW (Loshchilov and Hutter, arXiv:1711.05101) on a flat list of named parameters, with ATen's
// fused kernel. Nothing in a step waits for the device: clipping and the decision to skip a step
// with a gradient that is not finite are tensors that the kernel reads.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tandem/config/run_config.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/train/rules.h"

namespace tandem::train {

class Optimizer {
 public:
  // The trained ones of `parameters`, which are in the order of `resolved`. State starts at zero.
  Optimizer(const config::OptimizerConfig& config, const std::vector<ResolvedParameter>& resolved,
            const NamedTensors& parameters);

  const std::vector<at::Tensor>& parameters() const { return parameters_; }

  // A parameter without a gradient counts as a gradient of zeros.
  struct Norm {
    at::Tensor norm;    // scalar fp32: of all gradients, before clipping
    at::Tensor broken;  // scalar fp32: 1 when the norm or `loss` is not finite: nothing is changed
  };
  // loss: scalar. lr: of this step, before the rules' scales.
  Norm step(double lr, const at::Tensor& loss);
  void zero_grad();

  // "exp_avg.NAME", "exp_avg_sq.NAME" and "step" (updates that were made), on the CPU.
  NamedTensors state() const;
  // Throws Error(data) naming what is missing, surplus or of another shape.
  void load(const NamedTensors& state);

  // Bytes of the state, for a plan.
  static std::int64_t state_bytes(const std::vector<ResolvedParameter>& resolved);

 private:
  struct Group {  // equal learning rate and weight decay
    double lr_scale = 1, weight_decay = 0;
    std::vector<at::Tensor> parameters{}, exp_avg{}, exp_avg_sq{}, steps{};
  };

  config::OptimizerConfig config_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> parameters_;
  std::vector<Group> groups_;
  std::vector<std::pair<std::size_t, std::size_t>> places_;  // of names_: group, index in it
};

}  // namespace tandem::train
