#include "tandem/nn/rms_norm.h"

#include <ATen/ops/rsqrt.h>

#include "tandem/nn/linear.h"

namespace tandem::nn {

RmsNorm::RmsNorm(std::int64_t width, double eps) : eps(eps) {
  weight = register_parameter("weight", make_parameter({width}));
}

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  const at::Tensor wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
  const at::Tensor square = wide.pow(2).mean(-1, /*keepdim=*/true);
  return weight * (wide * at::rsqrt(square + eps)).to(x.scalar_type());
}

}  // namespace tandem::nn
