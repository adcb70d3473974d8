#include "tandem/nn/dropout.h"

#include <ATen/ops/dropout.h>
#include <ATen/ops/empty.h>

#include <vector>

namespace tandem::nn {

at::Tensor drop(const at::Tensor& x, double rate, bool training) {
  return training && rate > 0 ? at::dropout(x, rate, /*train=*/true) : x;
}

at::Tensor drop_path(const at::Tensor& x, double rate, bool training) {
  if (!training || rate <= 0) return x;
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  const at::Tensor kept = at::empty(shape, x.options()).bernoulli_(1 - rate);
  return x * kept / (1 - rate);
}

}  // namespace tandem::nn
