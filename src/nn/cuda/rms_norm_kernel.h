#pragma once
// The kernels behind nn/rms_norm.h on a GPU, found by their names in libtandem_cuda.so. No torch
// here; the tensors' side is nn/fused_rms_norm.cpp, the arithmetic rms_norm_rows.h.

#include <cstdint>

#include "tandem/tensor/lanes.h"

namespace tandem::nn {

// Types: x and delta are equal, or x is fp32 and delta any; the weight, and with it `out`, is fp32
// or of x's type. All pointers are aligned to their types, rows contiguous.
struct RmsNormArguments {
  const void* x = nullptr;       // [rows, width]
  const void* delta = nullptr;   // [rows, width]: added to x first; null: nothing is
  void* sum = nullptr;           // [rows, width] of x's type: x + delta; written where delta is
  const void* weight = nullptr;  // [width]
  void* out = nullptr;           // [rows, width] of the weight's type
  float* rstd = nullptr;         // [rows]: 1 / the root of the mean square
  Number x_type = Number::f32, delta_type = Number::none, weight_type = Number::f32;
  std::int64_t rows = 0, width = 0;
  float eps = 0;
  void* stream = nullptr;  // a cudaStream_t of the current device
};

struct RmsNormBackwardArguments {
  const void* x = nullptr;         // [rows, width]: what was normed (x + delta)
  const void* weight = nullptr;    // [width]
  const float* rstd = nullptr;     // [rows]
  const void* grad = nullptr;      // [rows, width] of `out`, of the weight's type
  const void* grad_sum = nullptr;  // [rows, width] of `sum`, of x's type; null: none
  void* grad_x = nullptr;          // [rows, width] of x's type
  void* grad_delta = nullptr;      // the same in delta's type; null where that is x's
  float* partials = nullptr;       // [parts, width]: their sum is the weight's gradient; null: none
  std::int64_t parts = 0;          // blocks; row r is of part r modulo parts
  Number x_type = Number::f32, delta_type = Number::none, weight_type = Number::f32;
  std::int64_t rows = 0, width = 0;
  void* stream = nullptr;
};

// Launch and return; 0, or the cudaError_t of the launch.
using RmsNormKernel = int(const RmsNormArguments&);
using RmsNormBackwardKernel = int(const RmsNormBackwardArguments&);

}  // namespace tandem::nn

extern "C" int tandem_cuda_rms_norm(const tandem::nn::RmsNormArguments& arguments);
extern "C" int tandem_cuda_rms_norm_backward(const tandem::nn::RmsNormBackwardArguments& arguments);
