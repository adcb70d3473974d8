#pragma once
// Parameters with names, and nothing else: modules here are made without values (at::empty) and
// filled by the family's initialisation or by a file, so that no draw of torch's hidden generators
// is ever spent.
//
// Goals: names as in the files, compute that calls at:: directly. Non-goals: Sequential, AnyModule,
// options structs.

#include <torch/nn/module.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "tandem/base/random.h"

namespace tandem::nn {

// y = x W^t + b, and with an adapter (Hu et al., arXiv:2106.09685) y + scale (d(x) A^t) B^t, where
// d is dropout. Its parameters are "lora_A.weight" and "lora_B.weight".
struct Linear : torch::nn::Module {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]; undefined without

  Linear(std::int64_t in, std::int64_t out, bool with_bias = true);
  at::Tensor forward(const at::Tensor& x) const;  // [..., in] -> [..., out]

  // A from the key, uniform within 1 / sqrt(in) (as PEFT draws it); B zeros, so that the first
  // step's output is the layer's own. On the device of the weight.
  void attach(std::int64_t rank, double scale, double dropout, Key key);
  // W += scale B A, and the adapter is gone.
  void merge();
  bool adapted() const { return a.defined(); }
  // What the adapter adds; zeros without one.
  at::Tensor addition(const at::Tensor& x) const;

  at::Tensor a, b;  // [rank, in], [out, rank]; undefined without an adapter
  double scale = 1, dropout = 0;
};

// `packed` with the additions of layers whose outputs stand side by side in it: for layers that are
// computed as one product. [..., sum out]
at::Tensor add_adapters(const at::Tensor& packed, const at::Tensor& x,
                        std::initializer_list<const Linear*> layers);

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
