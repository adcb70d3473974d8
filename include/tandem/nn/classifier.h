#pragma once
// The head that names an answer: Linear, LayerNorm, GELU, Linear, as "0", "1" and "3" in files.
// Source: dandelin/ViLT:vilt/modules/vilt_module.py, vqa_classifier and nlvr2_classifier.

#include <torch/nn/module.h>

#include <memory>

#include "tandem/nn/linear.h"

namespace tandem::nn {

struct Classifier : torch::nn::Module {
  std::shared_ptr<Linear> first, last;
  std::shared_ptr<LayerNorm> norm;

  Classifier(std::int64_t in, std::int64_t hidden, std::int64_t labels);
  at::Tensor forward(const at::Tensor& x) const;  // [B, in] -> [B, labels]
};

}  // namespace tandem::nn
