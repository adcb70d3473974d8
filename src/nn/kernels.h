#pragma once
// The kernels that take the place of ATen's operations, by the type of device. Set once at start
// (use_gpu_kernels), before any thread runs models; the tests put loops on the CPU in their place.

#include <c10/core/DeviceType.h>

#include "nn/cuda/rms_norm_kernel.h"
#include "nn/cuda/rotate_kernel.h"
#include "nn/cuda/swiglu_kernel.h"

namespace tandem::nn {

// Null: the ATen twin serves.
struct Kernels {
  RmsNormKernel* rms_norm = nullptr;
  RmsNormBackwardKernel* rms_norm_backward = nullptr;
  RotateKernel* rotate = nullptr;
  SwigluKernel* swiglu = nullptr;
  SwigluBackwardKernel* swiglu_backward = nullptr;
};

// Of a CPU or a GPU by CUDA; nulls for any other type (an outline on the meta device).
const Kernels& kernels_of(c10::DeviceType type);
void set_kernels(c10::DeviceType type, const Kernels& kernels);

}  // namespace tandem::nn
