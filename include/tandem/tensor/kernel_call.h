#pragma once
// The tensors' side of a call of a kernel of ours.

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>

#include "tandem/tensor/lanes.h"

namespace tandem {

// Number::none: a type that kernels do not work on.
Number number_of(at::ScalarType type);

// While it lives the device of `on` is the current one. Its stream is torch's current one there, so
// that a kernel comes after what its inputs wait for.
class KernelCall {
 public:
  explicit KernelCall(const at::Tensor& on);
  void* stream() const { return stream_; }  // null on the CPU
  // status: what the kernel returned; not 0: a failed launch, which is an error of ours.
  static void check(int status, const char* kernel);

 private:
  c10::DeviceGuard guard_;
  void* stream_ = nullptr;
};

}  // namespace tandem
