#pragma once
// The kernel behind nn/normalize.h on a GPU: bytes in, (x / 255 - mean) / std out. No torch here,
// so that nvcc compiles it in seconds; the tensors' side is nn/normalize_gpu.cpp. Found by its name
// in libtandem_cuda.so (tensor/device.h: cuda_function).

#include <cstdint>

namespace tandem::nn {

struct NormalizeArguments {
  const std::uint8_t* pixels = nullptr;  // [B, 3, H, W] contiguous, any alignment
  void* out = nullptr;                   // the same shape, contiguous; aligned to its own type
  bool bfloat16 = false;                 // the type of out: bfloat16 (rounded to even) or float32
  std::int64_t plane = 0;                // H * W
  std::int64_t count = 0;                // B * 3 * H * W
  float scale[3] = {}, shift[3] = {};    // of each channel
  void* stream = nullptr;                // a cudaStream_t of the current device
};

// Launches and returns; 0, or the cudaError_t of the launch. The product is rounded before the
// difference, as ATen's two operations do: float32 results equal the twin's in every bit.
using NormalizeFunction = int(const NormalizeArguments&);

}  // namespace tandem::nn

extern "C" int tandem_cuda_normalize(const tandem::nn::NormalizeArguments& arguments);
