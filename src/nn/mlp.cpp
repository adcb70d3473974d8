#include "tandem/nn/mlp.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tandem::nn {
namespace {

constexpr double slope = 1.702;

// x sigmoid(a x) = silu(a x) / a, whose derivative is silu'(a x): ATen has both in one pass.
struct QuickGelu : torch::autograd::Function<QuickGelu> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    at::Tensor y = at::mul(x, slope);
    return at::silu_(y).mul_(1 / slope);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const at::Tensor x = context->get_saved_variables()[0];
    return {at::silu_backward(grads[0], at::mul(x, slope))};
  }
};

}  // namespace

at::Tensor quick_gelu(const at::Tensor& x) { return QuickGelu::apply(x); }

at::Tensor erf_gelu(const at::Tensor& x) { return at::gelu(x, "none"); }

Mlp::Mlp(std::int64_t width, std::int64_t hidden, Activation activation) : activation(activation) {
  fc1 = register_module("fc1", std::make_shared<Linear>(width, hidden));
  fc2 = register_module("fc2", std::make_shared<Linear>(hidden, width));
}

at::Tensor Mlp::forward(const at::Tensor& x) const {
  return fc2->forward(activation(fc1->forward(x)));
}

}  // namespace tandem::nn
