#pragma once
// One optimiser step but for the update: the losses of all micro-batches of this rank, their
// gradients, the sums over the ranks.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tandem/dist/mesh.h"
#include "tandem/models/model.h"
#include "tandem/tensor/device.h"

namespace tandem::train {

struct StepSettings {
  models::LossRequest request{};
  const dist::Mesh* mesh = nullptr;
  CopyLane* lane = nullptr;  // to the model's device
  at::Device device{at::kCPU};
  bool bf16 = false, recompute = false;
  at::Tensor broken{};  // StepContext::broken of the step before
};

// Of every loss that was asked for: how many rows or tokens it counts over all ranks and
// micro-batches. Throws Error(data) when a loss has none to count.
std::map<std::string, double> global_counts(const models::Model& model,
                                            const std::vector<Batch>& micro_batches,
                                            const StepSettings& settings);

// Means over the global batch, on the device: "loss" (weighted) first, then each loss by its name.
using StepLosses = std::vector<std::pair<std::string, at::Tensor>>;

// Leaves the gradients of the global mean, summed over the ranks, in the parameters. key: of this
// step; step: of the stage. Throws Error(internal) for a model that gives other losses than asked.
StepLosses forward_backward(models::Model& model, const std::vector<Batch>& micro_batches,
                            const StepSettings& settings, dist::GradSync& sync, Key key,
                            std::int64_t step);

// The weighted sum of the losses of one micro-batch, with its graph: what a forward pass keeps.
at::Tensor forward_once(models::Model& model, const Batch& batch, const StepSettings& settings,
                        Key key);

}  // namespace tandem::train
