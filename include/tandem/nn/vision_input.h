#pragma once
// From pixels to the rows that a vision tower sees.

#include <array>
#include <memory>
#include <vector>

#include "tandem/nn/linear.h"

namespace tandem::nn {

// Pictures cut into squares, each mapped by one matrix: a convolution with stride = kernel, written
// as the product that it is (same numbers, and no im2col of a picture that needs no gradient).
struct PatchEmbed : torch::nn::Module {
  at::Tensor weight;  // [D, 3, P, P], as the convolution's in files
  at::Tensor bias;    // [D]; undefined without
  std::int64_t patch;

  PatchEmbed(std::int64_t patch, std::int64_t width, bool with_bias);
  // [B, 3, H, W] -> [B, (H / P) (W / P), D], row by row; what is left at the right and the bottom
  // is not seen, as with a convolution.
  at::Tensor forward(const at::Tensor& pixels) const;
};

// Bicubic (align_corners = false, no antialias) between square grids or to a given one. positions:
// [prefix + g^2, D], whose first `prefix` rows (the class token) stay; -> [prefix + h w, D].
// Computed in fp32, differentiable.
at::Tensor interpolate_positions(const at::Tensor& positions, std::int64_t prefix, std::int64_t h,
                                 std::int64_t w);

// A table [g^2, D] without other rows for a square of `patches` cells: [P, D]. Throws Error(data)
// where they are no square.
at::Tensor square_positions(const at::Tensor& table, std::int64_t patches);

}  // namespace tandem::nn
