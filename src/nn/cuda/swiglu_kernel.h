#pragma once
// The kernels behind nn::gated (nn/mlp.h) on a GPU, found by their names in libtandem_cuda.so. No
// torch here; the tensors' side is nn/fused_swiglu.cpp, the arithmetic swiglu_flat.h.

#include <cstdint>

#include "tandem/tensor/lanes.h"

namespace tandem::nn {

// silu(gate) up. All arrays have `count` numbers of one type, side by side.
struct SwigluArguments {
  const void *gate = nullptr, *up = nullptr;
  void* out = nullptr;
  Number type = Number::f32;
  std::int64_t count = 0;
  void* stream = nullptr;  // a cudaStream_t of the current device
};

struct SwigluBackwardArguments {
  const void *gate = nullptr, *up = nullptr, *grad = nullptr;
  void *grad_gate = nullptr, *grad_up = nullptr;
  Number type = Number::f32;
  std::int64_t count = 0;
  void* stream = nullptr;
};

// Launch and return; 0, or the cudaError_t of the launch.
using SwigluKernel = int(const SwigluArguments&);
using SwigluBackwardKernel = int(const SwigluBackwardArguments&);

}  // namespace tandem::nn

extern "C" int tandem_cuda_swiglu(const tandem::nn::SwigluArguments& arguments);
extern "C" int tandem_cuda_swiglu_backward(const tandem::nn::SwigluBackwardArguments& arguments);
