#include "models/vlmo/codes.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "tandem/tensor/kmeans.h"

namespace tandem::models::vlmo {

PatchCodes::PatchCodes(std::int64_t codes, std::int64_t patch_size,
                       const nn::PixelStatistics& statistics)
    : patch_(patch_size), statistics_(statistics) {
  centers = register_buffer("centers", at::zeros({codes, 3 * patch_size * patch_size}));
  trained = register_buffer("trained", at::zeros({}, at::kByte));
}

std::array<std::int64_t, 2> PatchCodes::shape() const { return {centers.size(0), centers.size(1)}; }

at::Tensor PatchCodes::patches(const at::Tensor& pixels) const {
  const at::NoGradGuard no_grad;
  const std::int64_t h = pixels.size(2) / patch_, w = pixels.size(3) / patch_;
  return nn::normalize_pixels(pixels, statistics_)
      .slice(2, 0, h * patch_)
      .slice(3, 0, w * patch_)
      .reshape({pixels.size(0), 3, h, patch_, w, patch_})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({pixels.size(0), h * w, 3 * patch_ * patch_});
}

at::Tensor PatchCodes::codes(const at::Tensor& pixels) const {
  const at::Tensor all = patches(pixels);
  return nearest_rows(all.flatten(0, 1), centers).view({all.size(0), all.size(1)});
}

void PatchCodes::take(const at::Tensor& places) {
  const at::NoGradGuard no_grad;
  centers.copy_(places);
  trained.fill_(1);
}

void PatchCodes::train_centers(const at::Tensor& pixels, const dist::Mesh& mesh, Key key,
                               int rounds) {
  const OneThread one;
  at::Tensor rows = patches(pixels).flatten(0, 1).contiguous();  // [R, 3 S S]
  if (mesh.size() > 1) rows = dist::all_gather(mesh, rows).flatten(0, 1);
  at::Tensor places = spread_rows(rows, centers.size(0), key.fold("codes"));
  for (int round = 0; round < rounds; ++round) {
    places = means_of_rows(rows, nearest_rows(rows, places), places);
  }
  take(places);
}

}  // namespace tandem::models::vlmo
