#include "tandem/nn/vision_input.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <cmath>
#include <string>

#include "tandem/base/error.h"

namespace tandem::nn {

PatchEmbed::PatchEmbed(std::int64_t patch, std::int64_t width, bool with_bias) : patch(patch) {
  weight = register_parameter("weight", make_parameter({width, 3, patch, patch}));
  if (with_bias) bias = register_parameter("bias", make_parameter({width}));
}

at::Tensor PatchEmbed::forward(const at::Tensor& pixels) const {
  const std::int64_t batch = pixels.size(0);
  const std::int64_t h = pixels.size(2) / patch, w = pixels.size(3) / patch;
  const at::Tensor whole = pixels.narrow(2, 0, h * patch).narrow(3, 0, w * patch);
  const at::Tensor patches = whole.reshape({batch, 3, h, patch, w, patch})
                                 .permute({0, 2, 4, 1, 3, 5})  // [B, h, w, 3, P, P]
                                 .reshape({batch, h * w, 3 * patch * patch});
  return at::linear(patches, weight.flatten(1), bias);
}

at::Tensor interpolate_positions(const at::Tensor& positions, std::int64_t prefix, std::int64_t h,
                                 std::int64_t w) {
  const std::int64_t cells = positions.size(0) - prefix;
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(cells))));
  if (cells < 1 || side * side != cells) {
    throw Error(ErrorKind::data, "[interpolate_positions] expected a square grid behind " +
                                     std::to_string(prefix) + " rows; got " +
                                     std::to_string(positions.size(0)) + " rows");
  }
  if (side == h && side == w) return positions;
  const std::int64_t width = positions.size(1);
  const at::Tensor grid = positions.slice(0, prefix)
                              .to(at::kFloat)
                              .view({1, side, side, width})
                              .permute({0, 3, 1, 2});  // [1, D, g, g]
  const at::Tensor resized = at::upsample_bicubic2d(grid, {h, w}, /*align_corners=*/false)
                                 .permute({0, 2, 3, 1})
                                 .reshape({h * w, width})
                                 .to(positions.scalar_type());
  return at::cat({positions.slice(0, 0, prefix), resized});
}

at::Tensor square_positions(const at::Tensor& table, std::int64_t patches) {
  const auto side = static_cast<std::int64_t>(std::sqrt(static_cast<double>(patches)));
  if (side * side != patches) {
    throw Error(ErrorKind::data,
                "[vision] expected a square number of patches; got " + std::to_string(patches));
  }
  return interpolate_positions(table, 0, side, side);
}

}  // namespace tandem::nn
