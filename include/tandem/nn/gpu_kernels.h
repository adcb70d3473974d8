#pragma once
// Puts our CUDA kernels in place of their ATen twins.

namespace tandem::nn {

// Once at start, after resolve_device() gave a GPU. Returns how many kernels took their place: none
// without libtandem_cuda.so, or where it was built without nvcc (ATen's operations then serve).
int use_gpu_kernels();

}  // namespace tandem::nn
