#pragma once
// Parameters with names, and nothing else: modules here are made without values (at::empty) and
// filled by the family's initialisation or by a file, so that no draw of torch's hidden generators
// is ever spent.
//
// Goals: names as in the files, compute that calls at:: directly. Non-goals: Sequential, AnyModule,
// options structs.

#include <torch/nn/module.h>

#include <cstdint>
#include <string>

namespace tandem::nn {

// y = x W^t + b.
struct Linear : torch::nn::Module {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]; undefined without

  Linear(std::int64_t in, std::int64_t out, bool with_bias = true);
  at::Tensor forward(const at::Tensor& x) const;  // [..., in] -> [..., out]
};

// Statistics in fp32 also where x is of half precision.
struct LayerNorm : torch::nn::Module {
  at::Tensor weight, bias;  // [width]
  double eps;

  LayerNorm(std::int64_t width, double eps);
  at::Tensor forward(const at::Tensor& x) const;  // [..., width] -> the same
};

struct Embedding : torch::nn::Module {
  at::Tensor weight;  // [rows, width]

  Embedding(std::int64_t rows, std::int64_t width);
  at::Tensor forward(const at::Tensor& ids) const;  // int64 [...] -> [..., width]
};

// An empty parameter that wants a gradient; fp32 on the CPU.
at::Tensor make_parameter(at::IntArrayRef shape);

}  // namespace tandem::nn
