#include "tandem/objectives/hard_negatives.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/where.h>

#include "tandem/base/error.h"

namespace tandem::objectives {

namespace {
constexpr double below_one = 1 - 1.0 / (std::int64_t{1} << 50);
}

at::Tensor draw_columns(const at::Tensor& weights, const at::Tensor& own, Key key,
                        std::int64_t first) {
  const at::NoGradGuard no_grad;
  const std::int64_t rows = weights.size(0), columns = weights.size(1);
  Random random(key);
  for (std::int64_t i = 0; i < first; ++i) random.uniform();
  at::Tensor host = at::empty({rows, 1}, at::kDouble);
  for (std::int64_t i = 0; i < rows; ++i) host.mutable_data_ptr<double>()[i] = random.uniform();
  const at::Tensor at_random = host.to(weights.device(), /*non_blocking=*/true);
  const at::Tensor wide = weights.to(at::kDouble);
  at::Tensor others = at::ones_like(wide);
  others.scatter_(1, own.view({-1, 1}), 0);
  const at::Tensor empty = wide.sum(1, /*keepdim=*/true).le(0);
  const at::Tensor steps = at::where(empty, others, wide).cumsum(1);
  // The first column whose running sum exceeds the draw: one of weight 0 never is. The draw stays
  // below the last sum also where the product is rounded up to it.
  const at::Tensor total = steps.narrow(1, columns - 1, 1);
  const at::Tensor target = at::minimum(at_random * total, total * below_one);
  return at::searchsorted(steps, target, /*out_int32=*/false, /*right=*/true)
      .squeeze(1)
      .clamp_max(columns - 1);  // a single column has no other
}

at::Tensor draw_unlike(const at::Tensor& ids, Key key) {
  const at::Tensor unlike = ids.unsqueeze(1).ne(ids.unsqueeze(0));
  return draw_columns(unlike, at::arange(ids.size(0), ids.options()), key);
}

at::Tensor draw_others(std::int64_t size, Key key) {
  TANDEM_CHECK(size >= 2, "[negatives] expected at least 2 samples");
  Random random(key);
  at::Tensor others = at::empty({size}, at::kLong);
  for (std::int64_t i = 0; i < size; ++i) {
    const auto other =
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(size - 1)));
    others.mutable_data_ptr<std::int64_t>()[i] = other < i ? other : other + 1;
  }
  return others;
}

}  // namespace tandem::objectives
