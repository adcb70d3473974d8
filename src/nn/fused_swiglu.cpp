#include "nn/fused_swiglu.h"

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/kernels.h"
#include "tandem/tensor/kernel_call.h"

namespace tandem::nn {
namespace {

namespace ag = torch::autograd;

struct FusedSwiglu : ag::Function<FusedSwiglu> {
  // Kept for backward: gate and up; ATen's operations keep silu(gate) too.
  static at::Tensor forward(ag::AutogradContext* context, const at::Tensor& given_gate,
                            const at::Tensor& given_up) {
    const at::Tensor gate = given_gate.contiguous(), up = given_up.contiguous();
    context->save_for_backward({gate, up});
    const KernelCall call(gate);
    const at::Tensor out = at::empty_like(gate);
    SwigluArguments a;
    a.gate = gate.const_data_ptr();
    a.up = up.const_data_ptr();
    a.out = out.mutable_data_ptr();
    a.type = number_of(gate.scalar_type());
    a.count = gate.numel();
    a.stream = call.stream();
    KernelCall::check(kernels_of(gate.device().type()).swiglu(a), "swiglu");
    return out;
  }

  static ag::variable_list backward(ag::AutogradContext* context, const ag::variable_list& grads) {
    const ag::variable_list saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1];
    const at::Tensor grad = grads[0].contiguous();
    const KernelCall call(gate);
    const at::Tensor of_gate = at::empty_like(gate), of_up = at::empty_like(up);
    SwigluBackwardArguments a;
    a.gate = gate.const_data_ptr();
    a.up = up.const_data_ptr();
    a.grad = grad.const_data_ptr();
    a.grad_gate = of_gate.mutable_data_ptr();
    a.grad_up = of_up.mutable_data_ptr();
    a.type = number_of(gate.scalar_type());
    a.count = gate.numel();
    a.stream = call.stream();
    KernelCall::check(kernels_of(gate.device().type()).swiglu_backward(a), "swiglu_backward");
    return {of_gate, of_up};
  }
};

}  // namespace

std::optional<at::Tensor> fused_swiglu(const at::Tensor& gate, const at::Tensor& up) {
  const Kernels& kernels = kernels_of(gate.device().type());
  if (kernels.swiglu == nullptr || kernels.swiglu_backward == nullptr) return std::nullopt;
  const bool fits = number_of(gate.scalar_type()) != Number::none &&
                    gate.scalar_type() == up.scalar_type() && gate.sizes() == up.sizes() &&
                    gate.device() == up.device() && gate.numel() > 0;
  if (!fits) return std::nullopt;
  return FusedSwiglu::apply(gate, up);
}

}  // namespace tandem::nn
