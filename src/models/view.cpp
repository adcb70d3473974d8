#include "tandem/models/view.h"

namespace tandem::models {

vision::Image view_of(const Batch& batch) {
  if (!batch.images || batch.images->pixels.scalar_type() != at::kByte) return {};
  const at::Tensor pixels = batch.images->pixels.contiguous();  // [B, 3, H, W]
  if (pixels.dim() != 4 || pixels.size(0) < 1 || pixels.size(1) != 3) return {};
  vision::Image image =
      vision::make_image(static_cast<int>(pixels.size(3)), static_cast<int>(pixels.size(2)));
  const std::size_t plane = image.rgb.size() / 3;
  const auto* from = pixels.const_data_ptr<std::uint8_t>();
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) image.rgb[i * 3 + c] = from[c * plane + i];
  }
  return image;
}

}  // namespace tandem::models
