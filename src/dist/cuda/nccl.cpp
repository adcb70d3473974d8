// c10d's NCCL group, made inside libtandem_cuda.so: the binary itself knows neither NCCL nor CUDA.

#include "dist/nccl.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace {

c10::intrusive_ptr<c10d::Backend> make(c10::intrusive_ptr<c10d::Store> store, int rank, int size,
                                       int device, std::chrono::milliseconds timeout) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(std::move(store), rank, size, options);
  group->setBoundDeviceId(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device)));
  return group;
}

}  // namespace

extern "C" tandem::dist::MakeNccl tandem_cuda_nccl();
tandem::dist::MakeNccl tandem_cuda_nccl() { return make; }
