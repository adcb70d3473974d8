#include "tandem/tensor/kmeans.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

#include "tandem/tensor/autocast.h"

namespace tandem {
namespace {

// What all three run under.
struct Plain {
  const at::NoGradGuard no_grad{};
  const AutocastOff fp32;
};

// Squared distances of all rows from one of them, fp64 [R] on the CPU. On a CPU a run of rows stays
// in the cache between the three operations.
at::Tensor distances(const at::Tensor& rows, const at::Tensor& from) {
  const std::int64_t size = rows.size(0);
  const std::int64_t numbers = rows.is_cpu() ? std::int64_t{1} << 17 : std::int64_t{1} << 27;
  const std::int64_t run = std::max<std::int64_t>(1, numbers / rows.size(1));
  at::Tensor found = at::empty({size}, rows.options());
  for (std::int64_t first = 0; first < size; first += run) {
    const std::int64_t some = std::min(run, size - first);
    found.narrow(0, first, some).copy_((rows.narrow(0, first, some) - from).square_().sum(1));
  }
  return found.to(at::kCPU, at::kDouble);
}

}  // namespace

OneThread::OneThread() : before_(at::get_num_threads()) {
  if (before_ > 1) at::set_num_threads(1);
}
OneThread::~OneThread() {
  if (before_ > 1) at::set_num_threads(before_);
}

at::Tensor spread_rows(const at::Tensor& rows, std::int64_t count, Key key,
                       const std::function<void()>& between) {
  const Plain plain{.fp32 = AutocastOff(rows.device().type())};
  const std::int64_t size = rows.size(0);
  at::Tensor centers = at::empty({count, rows.size(1)}, rows.options());
  Random random(key);
  at::Tensor distance = at::ones({size}, at::kDouble);
  for (std::int64_t k = 0; k < count; ++k) {
    if (between && k % 64 == 0) between();
    const at::Tensor steps = distance.cumsum(0);
    const double total = steps[size - 1].item<double>();
    std::int64_t chosen = 0;
    if (total > 0) {
      chosen = steps.le(total * random.uniform()).sum().item<std::int64_t>();
    } else {
      chosen = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(size)));
    }
    const at::Tensor center = rows[std::min(chosen, size - 1)];
    centers[k].copy_(center);
    const at::Tensor now = distances(rows, center);
    distance = k == 0 ? now : at::minimum(distance, now);
  }
  return centers;
}

at::Tensor nearest_rows(const at::Tensor& rows, const at::Tensor& centers) {
  const Plain plain{.fp32 = AutocastOff(rows.device().type())};
  const at::Tensor lengths = centers.square().sum(1);  // [K]
  std::vector<at::Tensor> found{at::empty({0}, rows.options().dtype(at::kLong))};
  for (std::int64_t first = 0; first < rows.size(0); first += nearest_at_once) {
    const at::Tensor some = rows.narrow(0, first, std::min(nearest_at_once, rows.size(0) - first));
    // Half the squared distance, less what is the same for all centers.
    found.push_back(at::addmm(lengths, some, centers.t(), 0.5, -1).argmin(1));
  }
  return at::cat(found);
}

at::Tensor means_of_rows(const at::Tensor& rows, const at::Tensor& owner,
                         const at::Tensor& centers) {
  const Plain plain{.fp32 = AutocastOff(rows.device().type())};
  const at::Tensor here = rows.cpu(), owners = owner.cpu(), before = centers.cpu();
  const at::Tensor sums = at::zeros_like(before).index_add_(0, owners, here);
  const at::Tensor owned = at::zeros({centers.size(0)}, before.options())
                               .index_add_(0, owners, at::ones({here.size(0)}, here.options()));
  const at::Tensor means = sums / owned.clamp_min(1).unsqueeze(1);
  return at::where(owned.gt(0).unsqueeze(1), means, before).to(centers.device());
}

}  // namespace tandem
