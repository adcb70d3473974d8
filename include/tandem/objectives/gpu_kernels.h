#pragma once
// Puts our CUDA kernels in place of their ATen twins.

namespace tandem::objectives {

// As nn::use_gpu_kernels: once at start, after resolve_device() gave a GPU. Returns how many took
// their place.
int use_gpu_kernels();

}  // namespace tandem::objectives
