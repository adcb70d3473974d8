#include "tandem/nn/mlp.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/tanh.h>
#include <torch/csrc/autograd/custom_function.h>

#include <map>

#include "nn/fused_swiglu.h"

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

at::Tensor tanh_gelu(const at::Tensor& x) { return at::gelu(x, "tanh"); }
at::Tensor relu(const at::Tensor& x) { return at::relu(x); }
at::Tensor silu(const at::Tensor& x) { return at::silu(x); }
at::Tensor tanh(const at::Tensor& x) { return at::tanh(x); }

}  // namespace

at::Tensor quick_gelu(const at::Tensor& x) { return QuickGelu::apply(x); }

at::Tensor erf_gelu(const at::Tensor& x) { return at::gelu(x, "none"); }

Activation activation_of(const std::string& name) {
  static const std::map<std::string, Activation> table{{"gelu", erf_gelu},
                                                       {"gelu_python", erf_gelu},
                                                       {"quick_gelu", quick_gelu},
                                                       {"gelu_new", tanh_gelu},
                                                       {"gelu_fast", tanh_gelu},
                                                       {"gelu_accurate", tanh_gelu},
                                                       {"gelu_pytorch_tanh", tanh_gelu},
                                                       {"gelu_python_tanh", tanh_gelu},
                                                       {"relu", relu},
                                                       {"silu", silu},
                                                       {"swish", silu},
                                                       {"tanh", tanh}};
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

at::Tensor gated(Activation activation, const at::Tensor& gate, const at::Tensor& up) {
  if (activation == silu) {
    if (const auto fused = fused_swiglu(gate, up)) return *fused;
  }
  return activation(gate) * up;
}

Mlp::Mlp(std::int64_t width, std::int64_t hidden, Activation activation) : activation(activation) {
  fc1 = register_module("fc1", std::make_shared<Linear>(width, hidden));
  fc2 = register_module("fc2", std::make_shared<Linear>(hidden, width));
}

at::Tensor Mlp::forward(const at::Tensor& x) const {
  return fc2->forward(activation(fc1->forward(x)));
}

}  // namespace tandem::nn
