#include "tandem/nn/momentum.h"

#include <ATen/core/grad_mode.h>

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

void Momentum::update(double momentum) const {
  const at::NoGradGuard no_grad;
  for (auto [own, copy] : pairs_) copy.mul_(momentum).add_(own, 1 - momentum);
}

void enqueue(at::Tensor queue, const at::Tensor& rows, std::int64_t first) {
  const at::NoGradGuard no_grad;
  const std::int64_t size = queue.size(1), count = rows.size(0);
  TANDEM_CHECK(count <= size && first >= 0 && first < size,
               "[queue] expected at most as many rows as it holds");
  const at::Tensor columns = rows.detach().t();
  const std::int64_t before = std::min(count, size - first);
  queue.narrow(1, first, before).copy_(columns.narrow(1, 0, before));
  if (before < count) {
    queue.narrow(1, 0, count - before).copy_(columns.narrow(1, before, count - before));
  }
}

}  // namespace tandem::nn
