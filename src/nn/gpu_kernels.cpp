#include "tandem/nn/gpu_kernels.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <string>

#include "nn/cuda/normalize_kernel.h"
#include "tandem/base/error.h"
#include "tandem/nn/normalize.h"
#include "tandem/tensor/device.h"

namespace tandem::nn {
namespace {

NormalizeFunction* normalize_function = nullptr;

at::Tensor normalize(const at::Tensor& pixels, const PixelStatistics& statistics) {
  const at::Tensor bytes = pixels.contiguous();
  const c10::DeviceGuard guard(bytes.device());
  const c10::impl::VirtualGuardImpl backend(bytes.device().type());
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
  arguments.stream = backend.getStreamNativeHandle(backend.getStream(bytes.device()));
  const int status = normalize_function(arguments);
  TANDEM_CHECK(status == 0, "[normalize_pixels] CUDA error " + std::to_string(status));
  return out;
}

}  // namespace

int use_gpu_kernels() {
  normalize_function = reinterpret_cast<NormalizeFunction*>(cuda_function("tandem_cuda_normalize"));
  set_normalize_kernel(normalize_function == nullptr ? nullptr : normalize);
  return normalize_function == nullptr ? 0 : 1;
}

}  // namespace tandem::nn
