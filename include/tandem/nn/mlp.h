#pragma once
// Two layers with an activation between them, and the activations.

#include <memory>
#include <string>

#include "tandem/nn/linear.h"

namespace tandem::nn {

// x sigmoid(1.702 x): what the released CLIP weights were trained with. One tensor is kept for the
// backward pass (the plain formula keeps two).
at::Tensor quick_gelu(const at::Tensor& x);
// x Phi(x), with the error function.
at::Tensor erf_gelu(const at::Tensor& x);

using Activation = at::Tensor (*)(const at::Tensor&);
// By transformers' names (gelu, quick_gelu, gelu_new, relu, silu, tanh, ...); nullptr: not known.
Activation activation_of(const std::string& name);

// activation(gate) up, both of one shape: on a GPU one kernel where the activation is silu.
at::Tensor gated(Activation activation, const at::Tensor& gate, const at::Tensor& up);

struct Mlp : torch::nn::Module {
  std::shared_ptr<Linear> fc1, fc2;
  Activation activation;

  Mlp(std::int64_t width, std::int64_t hidden, Activation activation);
  at::Tensor forward(const at::Tensor& x) const;  // [..., D] -> [..., D]
};

}  // namespace tandem::nn
