#include "tandem/objectives/token_loss.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/ne.h>

namespace tandem::objectives {

LossTerm cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double count,
                       double smoothing) {
  const at::Tensor rows = logits.reshape({-1, logits.size(-1)}).to(at::kFloat);
  const at::Tensor sum = at::cross_entropy_loss(rows, labels.reshape({-1}), {}, at::Reduction::Sum,
                                                ignored, smoothing);
  return {sum, count};
}

double count_labels(const at::Tensor& labels) {
  return static_cast<double>(labels.ne(ignored).sum().item<std::int64_t>());
}

}  // namespace tandem::objectives
