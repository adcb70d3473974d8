#include "nn/kernels.h"

#include "tandem/base/error.h"

namespace tandem::nn {
namespace {

Kernels on_cpu_device, on_cuda_device;

}  // namespace

const Kernels& kernels_of(c10::DeviceType type) {
  static const Kernels none;
  if (type == c10::DeviceType::CPU) return on_cpu_device;
  return type == c10::DeviceType::CUDA ? on_cuda_device : none;
}

void set_kernels(c10::DeviceType type, const Kernels& kernels) {
  TANDEM_CHECK(type == c10::DeviceType::CPU || type == c10::DeviceType::CUDA,
               "[kernels] expected a CPU or a GPU");
  (type == c10::DeviceType::CPU ? on_cpu_device : on_cuda_device) = kernels;
}

}  // namespace tandem::nn
