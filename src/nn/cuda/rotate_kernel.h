#pragma once
// The kernel behind nn/rotary.h on a GPU, found by its name in libtandem_cuda.so. No torch here;
// the tensors' side is nn/fused_rotary.cpp, the arithmetic rotate_pairs.h. One position a token and
// three (M-RoPE) differ in the tables only.

#include <cstdint>

#include "tandem/tensor/lanes.h"

namespace tandem::nn {

// Where a token's heads stand, in numbers of its type; the numbers of a head lie side by side.
struct HeadStrides {
  std::int64_t batch = 0, head = 0, token = 0;
};

struct RotateArguments {
  const void* x = nullptr;  // [B, H, T, d]
  void* out = nullptr;      // [B, H, T, d]; may be x, with its strides
  Number type = Number::f32;
  HeadStrides x_strides{}, out_strides{};
  const float *cos = nullptr, *sin = nullptr;  // [1 or B, T, d] contiguous
  std::int64_t table_stride = 0;               // from a text's table to the next; 0: one for all
  std::int64_t batch = 0, heads = 0, tokens = 0, width = 0;  // B, H, T, d; d is even
  bool backward = false;   // turned back: the gradient of x from that of the result
  void* stream = nullptr;  // a cudaStream_t of the current device
};

// Launches and returns; 0, or the cudaError_t of the launch.
using RotateKernel = int(const RotateArguments&);

}  // namespace tandem::nn

extern "C" int tandem_cuda_rotate(const tandem::nn::RotateArguments& arguments);
