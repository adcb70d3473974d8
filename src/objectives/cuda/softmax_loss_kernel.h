#pragma once
// The softmax part of the loss of the next word (objectives/lm.h) on a GPU, found by its name in
// libtandem_cuda.so. No torch here; the tensors' side is objectives/softmax_loss.cpp, the
// arithmetic softmax_loss_rows.h.

#include <cstdint>

#include "tandem/tensor/lanes.h"

namespace tandem::objectives {

struct SoftmaxLossArguments {
  void* scores = nullptr;  // [rows, words], rows contiguous; with `slopes` the gradient of each
                           // row's loss with respect to them takes their place
  Number type = Number::f32;
  const std::int64_t* labels = nullptr;  // [rows]
  const float* counted = nullptr;        // [rows]: 0: a row without a label, whose loss and slopes
                                         // are 0 and whose label is not read; null: all have one
  const float* shares = nullptr;         // [rows]: slopes are multiplied by it; null: they are not
  float* losses = nullptr;               // [rows]: -log p of the label
  float* smoothed = nullptr;             // [rows]: with smoothing; null: not wanted
  std::int64_t rows = 0, words = 0;
  float smoothing = 0;
  bool slopes = false;
  void* stream = nullptr;  // a cudaStream_t of the current device
};

// Launches and returns; 0, or the cudaError_t of the launch. A label that is no word gives NaN.
using SoftmaxLossKernel = int(const SoftmaxLossArguments&);

}  // namespace tandem::objectives

extern "C" int tandem_cuda_softmax_loss(const tandem::objectives::SoftmaxLossArguments& arguments);
