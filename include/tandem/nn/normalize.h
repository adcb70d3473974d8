#pragma once
// uint8 pixels to what a tower sees, on the device where they are: (x / 255 - mean) / std.

#include <ATen/core/Tensor.h>

#include <array>

namespace tandem::nn {

struct PixelStatistics {
  std::array<double, 3> mean{}, std{};
};

// pixels: [B, 3, H, W]; uint8 is normalised, floating point is returned as it is (already
// normalised). -> float32 of the same shape. The same bits on every path.
at::Tensor normalize_pixels(const at::Tensor& pixels, const PixelStatistics& statistics);

// The same with ATen's operations on any device: the twin that the others are tested against.
at::Tensor normalize_pixels_aten(const at::Tensor& pixels, const PixelStatistics& statistics);

// What normalises uint8 pixels on a GPU in place of the twin; nullptr takes it away. Set once at
// start, before any thread runs models.
using NormalizeOnGpu = at::Tensor (*)(const at::Tensor& pixels, const PixelStatistics&);
void set_normalize_kernel(NormalizeOnGpu kernel);

}  // namespace tandem::nn
