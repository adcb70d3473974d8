#include "models/vlmo/codes.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

namespace tandem::models::vlmo {
namespace {

constexpr std::int64_t rows_at_once = 4096;  // of distances

}  // namespace

PatchCodes::PatchCodes(std::int64_t codes, std::int64_t patch_size) : patch_(patch_size) {
  centers = register_buffer("centers", at::zeros({codes, 3 * patch_size * patch_size}));
  trained = register_buffer("trained", at::zeros({}, at::kByte));
}

at::Tensor PatchCodes::patches_of(const at::Tensor& pixels) const {
  const std::int64_t h = pixels.size(2) / patch_, w = pixels.size(3) / patch_;
  return pixels.slice(2, 0, h * patch_)
      .slice(3, 0, w * patch_)
      .reshape({pixels.size(0), 3, h, patch_, w, patch_})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({pixels.size(0), h * w, 3 * patch_ * patch_})
      .to(at::kFloat);
}

at::Tensor PatchCodes::nearest(const at::Tensor& rows) const {
  const at::Tensor lengths = centers.square().sum(1);  // [K]
  std::vector<at::Tensor> found;
  for (std::int64_t first = 0; first < rows.size(0); first += rows_at_once) {
    const at::Tensor some = rows.narrow(0, first, std::min(rows_at_once, rows.size(0) - first));
    // Half the squared distance, less what is the same for all centers.
    found.push_back(at::addmm(lengths, some, centers.t(), 0.5, -1).argmin(1));
  }
  return at::cat(found);
}

at::Tensor PatchCodes::codes(const at::Tensor& pixels) const {
  const at::NoGradGuard no_grad;
  const at::Tensor patches = patches_of(pixels);
  return nearest(patches.flatten(0, 1)).view({patches.size(0), patches.size(1)});
}

void PatchCodes::train_centers(const at::Tensor& pixels, const dist::Mesh& mesh, Key key,
                               int rounds) {
  const at::NoGradGuard no_grad;
  at::Tensor rows = patches_of(pixels).flatten(0, 1).contiguous();  // [R, 3 S S]
  if (mesh.size() > 1) rows = dist::all_gather(mesh, rows).flatten(0, 1);
  const std::int64_t count = centers.size(0), size = rows.size(0);
  // On the host, in fp64 sums: the same draws everywhere, as often as there are codes.
  Random random(key.fold("codes"));
  at::Tensor distance = at::ones({size}, at::kDouble);
  for (std::int64_t k = 0; k < count; ++k) {
    const at::Tensor steps = distance.cumsum(0);
    const double total = steps[size - 1].item<double>();
    std::int64_t chosen = 0;
    if (total > 0) {
      chosen = steps.le(total * random.uniform()).sum().item<std::int64_t>();
    } else {  // more codes than different patches
      chosen = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(size)));
    }
    const at::Tensor center = rows[std::min(chosen, size - 1)];
    centers[k].copy_(center);
    const at::Tensor now = (rows - center).square().sum(1).to(at::kCPU, at::kDouble);
    distance = k == 0 ? now : at::minimum(distance, now);
  }
  for (int round = 0; round < rounds; ++round) {
    const at::Tensor owner = nearest(rows);
    const at::Tensor sums = at::zeros_like(centers).index_add_(0, owner, rows);
    const at::Tensor owned = at::zeros({count}, centers.options())
                                 .index_add_(0, owner, at::ones({size}, rows.options()));
    const at::Tensor means = sums / owned.clamp_min(1).unsqueeze(1);
    centers.copy_(at::where(owned.gt(0).unsqueeze(1), means, centers));
  }
  trained.fill_(1);
}

}  // namespace tandem::models::vlmo
