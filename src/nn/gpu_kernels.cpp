#include "tandem/nn/gpu_kernels.h"

#include <ATen/ops/empty_like.h>

#include "nn/cuda/normalize_kernel.h"
#include "nn/kernels.h"
#include "tandem/nn/normalize.h"
#include "tandem/tensor/device.h"
#include "tandem/tensor/kernel_call.h"

namespace tandem::nn {
namespace {

NormalizeFunction* normalize_function = nullptr;

at::Tensor normalize(const at::Tensor& pixels, const PixelStatistics& statistics) {
  const at::Tensor bytes = pixels.contiguous();
  const KernelCall call(bytes);
  at::Tensor out = at::empty_like(bytes, bytes.options().dtype(at::kFloat));
  NormalizeArguments arguments;
  arguments.pixels = bytes.const_data_ptr<std::uint8_t>();
  arguments.out = out.mutable_data_ptr();
  arguments.plane = bytes.size(2) * bytes.size(3);
  arguments.count = bytes.numel();
  for (std::size_t c = 0; c < 3; ++c) {
    arguments.mean[c] = static_cast<float>(statistics.mean[c]);
    arguments.std[c] = static_cast<float>(statistics.std[c]);
  }
  arguments.stream = call.stream();
  KernelCall::check(normalize_function(arguments), "normalize_pixels");
  return out;
}

// The kernel of this name; counts those that are there.
template <class Function>
Function* found(const char* name, int& count) {
  auto* const function = reinterpret_cast<Function*>(cuda_function(name));
  if (function != nullptr) ++count;
  return function;
}

}  // namespace

int use_gpu_kernels() {
  int count = 0;
  normalize_function = found<NormalizeFunction>("tandem_cuda_normalize", count);
  set_normalize_kernel(normalize_function == nullptr ? nullptr : normalize);
  Kernels kernels;
  kernels.rms_norm = found<RmsNormKernel>("tandem_cuda_rms_norm", count);
  kernels.rms_norm_backward = found<RmsNormBackwardKernel>("tandem_cuda_rms_norm_backward", count);
  kernels.rotate = found<RotateKernel>("tandem_cuda_rotate", count);
  kernels.swiglu = found<SwigluKernel>("tandem_cuda_swiglu", count);
  kernels.swiglu_backward = found<SwigluBackwardKernel>("tandem_cuda_swiglu_backward", count);
  set_kernels(c10::DeviceType::CUDA, kernels);
  return count;
}

}  // namespace tandem::nn
