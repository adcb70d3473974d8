#pragma once
// Relative positions: for each pair of tokens a row of ONE table, whose columns are the heads of
// all layers. Source: microsoft/unilm:vlmo, vlmo_module.py; Bao et al. 2022 (BEiT) for pictures.
//
// The rows of the table, with a grid of g x g patches and M tokens of the longest text:
//   (2g - 1)^2 + 3  offsets between patches; class token to patch, patch to class token, itself
//   2               text to picture, picture to text
//   2 M             offsets between words; [CLS] to word, word to [CLS], itself (the last three)

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tandem::models::vlmo {

struct RelativePositions {
  std::int64_t grid = 14, longest_text = 196;

  std::int64_t of_pictures() const { return (2 * grid - 1) * (2 * grid - 1) + 3; }
  std::int64_t rows() const { return of_pictures() + 2 * longest_text + 2; }
};

// Rows of the table, int64, by (token that looks, token that is looked at).
at::Tensor image_index(const RelativePositions& positions);                      // [1 + P, 1 + P]
at::Tensor text_index(const RelativePositions& positions, std::int64_t length);  // [T, T]
// The text first: [T + 1 + P, T + 1 + P]. On the device of its parts.
at::Tensor joint_index(const RelativePositions& positions, const at::Tensor& text,
                       const at::Tensor& image);

// The table of one grid and text for others. As the original code does it, the offsets between
// patches are resampled by cubic splines from places that lie in a geometric progression (dense in
// the middle); grids that differ have at least 3 x 3 patches in `from`. The original's text is
// always as long: here a word keeps the row of each offset, and offsets farther than `from` has
// begin as its farthest. table: [rows of `from`, C] -> [rows of `to`, C], fp32 or fp64.
at::Tensor resize_table(const at::Tensor& table, const RelativePositions& from,
                        const RelativePositions& to);

}  // namespace tandem::models::vlmo
