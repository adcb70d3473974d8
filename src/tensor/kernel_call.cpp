#include "tandem/tensor/kernel_call.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <string>

#include "tandem/base/error.h"

namespace tandem {

Number number_of(at::ScalarType type) {
  if (type == at::kFloat) return Number::f32;
  if (type == at::kBFloat16) return Number::bf16;
  return type == at::kHalf ? Number::f16 : Number::none;
}

KernelCall::KernelCall(const at::Tensor& on) : guard_(on.device()) {
  if (on.is_cpu()) return;
  const c10::impl::VirtualGuardImpl backend(on.device().type());
  stream_ = backend.getStreamNativeHandle(backend.getStream(on.device()));
}

void KernelCall::check(int status, const char* kernel) {
  TANDEM_CHECK(status == 0, "[" + std::string(kernel) + "] the launch failed: CUDA error " +
                                std::to_string(status));
}

}  // namespace tandem
