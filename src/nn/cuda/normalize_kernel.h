#pragma once
// The kernel behind nn/normalize.h on a GPU: bytes in, (x / 255 - mean) / std out. No torch here,
// so that nvcc compiles it in seconds; the tensors' side is nn/gpu_kernels.cpp. Found by its name
// in libtandem_cuda.so (tensor/device.h: cuda_function).

#include <cstdint>

namespace tandem::nn {

struct NormalizeArguments {
  const std::uint8_t* pixels = nullptr;  // [B, 3, H, W] contiguous, any alignment
  void* out = nullptr;                   // the same shape, contiguous; aligned to its own type
  bool bfloat16 = false;                 // the type of out: bfloat16 (rounded to even) or float32
  std::int64_t plane = 0;                // H * W
  std::int64_t count = 0;                // B * 3 * H * W
  float mean[3] = {}, std[3] = {};
  void* stream = nullptr;  // a cudaStream_t of the current device
};

// Launches and returns; 0, or the cudaError_t of the launch. Computed in float32 in the order of
// the formula, with IEEE divisions: the same bits as on the CPU. (ATen's own operations on a GPU
// multiply by 1 / 255 and 1 / std instead, which may differ in the last bit.)
using NormalizeFunction = int(const NormalizeArguments&);

}  // namespace tandem::nn

extern "C" int tandem_cuda_normalize(const tandem::nn::NormalizeArguments& arguments);
