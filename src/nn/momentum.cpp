#include "tandem/nn/momentum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "tandem/base/error.h"

namespace tandem::nn {

void Momentum::pair(torch::nn::Module& part, torch::nn::Module& copy) {
  const auto parts = part.named_parameters();
  for (auto& item : copy.named_parameters()) {
    const auto* own = parts.find(item.key());
    TANDEM_CHECK(own != nullptr, "[momentum] the copy has no twin of " + item.key());
    const auto same = [&](const auto& seen) { return seen.second.is_same(item.value()); };
    if (std::any_of(pairs_.begin(), pairs_.end(), same)) continue;
    item.value().set_requires_grad(false);
    pairs_.emplace_back(*own, item.value());
  }
}

void Momentum::copy() const {
  const at::NoGradGuard no_grad;
  for (auto [own, copy] : pairs_) copy.copy_(own);
}

void Momentum::update(double momentum, const at::Tensor& skips) const {
  const at::NoGradGuard no_grad;
  if (!skips.defined()) {
    for (auto [own, copy] : pairs_) copy.mul_(momentum).add_(own, 1 - momentum);
    return;
  }
  const at::Tensor stays = skips.ne(0);
  for (auto [own, copy] : pairs_) {
    const at::Tensor moved = copy.mul(momentum).add_(own, 1 - momentum);
    copy.copy_(at::where(stays, copy, moved));
  }
}

void enqueue(at::Tensor queue, const at::Tensor& rows, const at::Tensor& columns,
             const at::Tensor& skips) {
  const at::NoGradGuard no_grad;
  TANDEM_CHECK(rows.size(0) <= queue.size(1) && columns.size(0) == rows.size(0),
               "[queue] expected a column for each row, and at most as many rows as it holds");
  at::Tensor written = rows.detach().t().to(queue.scalar_type());  // [E, N]
  if (skips.defined()) {
    written = at::where(skips.ne(0), queue.index_select(1, columns), written);
  }
  queue.index_copy_(1, columns, written);
}

}  // namespace tandem::nn
