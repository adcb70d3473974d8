#pragma once
// What libtandem_cuda.so and the binary that loads it agree on. The functions have C linkage and
// are found by name (device.h: cuda_function); each room declares the types of its own:
//
//   tandem_cuda_version    int()  equals kCudaSeamVersion, else the library is refused
//   tandem_cuda_nccl       src/dist/nccl.h
// and, absent when built without nvcc:
//   tandem_cuda_normalize                  src/nn/cuda/normalize_kernel.h
//   tandem_cuda_rms_norm, ..._backward     src/nn/cuda/rms_norm_kernel.h
//   tandem_cuda_rotate                     src/nn/cuda/rotate_kernel.h
//   tandem_cuda_swiglu, ..._backward       src/nn/cuda/swiglu_kernel.h
//   tandem_cuda_softmax_loss               src/objectives/cuda/softmax_loss_kernel.h

namespace tandem {

// Raised whenever a function above changes its meaning or its arguments.
inline constexpr int kCudaSeamVersion = 1;

}  // namespace tandem
