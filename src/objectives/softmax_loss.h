#pragma once
// The softmax part of the loss of the next word: from scores to losses and slopes, of one piece of
// the rows. ATen's operations, or on a GPU the kernel of ours (cuda/softmax_loss_kernel.h).
// Letters: c rows, V words.

#include <ATen/core/Tensor.h>

#include "objectives/cuda/softmax_loss_kernel.h"

namespace tandem::objectives {

struct SoftmaxLossInput {
  at::Tensor labels;   // int64 [c]
  at::Tensor counted;  // fp32 [c]: 0: a row without a label (its number is any word); or undefined
  at::Tensor shares;   // fp32 [c]: slopes are multiplied by it; or undefined
  double smoothing = 0;
  bool slopes = false;  // are they wanted
};

struct SoftmaxLoss {
  at::Tensor losses;    // fp32 [c]: -log p of the label; 0 where there is none
  at::Tensor smoothed;  // fp32 [c], with smoothing as in cross_entropy
  at::Tensor slopes;  // [c, V]: of each smoothed loss with respect to the scores, times its share;
                      // fp32, of the kernel in the scores' type; undefined where not wanted
};

// scores [c, V] are given away: slopes may take their place.
SoftmaxLoss softmax_loss(at::Tensor scores, const SoftmaxLossInput& in);
// The same with ATen's operations on any device: the twin that the kernel is tested against.
SoftmaxLoss softmax_loss_aten(at::Tensor scores, const SoftmaxLossInput& in);

// The kernel of a type of device (CPU or CUDA); nullptr: the twin. Set once at start, before any
// thread runs models; the tests put a loop on the CPU in its place.
void set_softmax_loss_kernel(c10::DeviceType type, SoftmaxLossKernel* kernel);

}  // namespace tandem::objectives
