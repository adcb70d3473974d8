#pragma once
// What libtandem_cuda.so and the binary that loads it agree on. The functions have C linkage and
// are found by name (device.h: cuda_function); each room declares the types of its own:
//
//   tandem_cuda_version    int()  equals kCudaSeamVersion, else the library is refused
//   tandem_cuda_normalize  src/nn/cuda/normalize.h; absent when built without nvcc
//   tandem_cuda_nccl       src/dist/nccl.h

namespace tandem {

// Raised whenever a function above changes its meaning or its arguments.
inline constexpr int kCudaSeamVersion = 1;

}  // namespace tandem
