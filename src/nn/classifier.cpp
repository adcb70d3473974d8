#include "tandem/nn/classifier.h"

#include "tandem/nn/mlp.h"

namespace tandem::nn {

Classifier::Classifier(std::int64_t in, std::int64_t hidden, std::int64_t labels) {
  first = register_module("0", std::make_shared<Linear>(in, hidden));
  norm = register_module("1", std::make_shared<LayerNorm>(hidden, 1e-5));
  last = register_module("3", std::make_shared<Linear>(hidden, labels));
}

at::Tensor Classifier::forward(const at::Tensor& x) const {
  return last->forward(erf_gelu(norm->forward(first->forward(x))));
}

}  // namespace tandem::nn
