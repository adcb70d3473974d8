#pragma once
// Pictures of different sizes in one batch: which of their patches are seen and where they stand.
// Source: Kim et al. 2021, section 4.2; dandelin/ViLT:vision_transformer.py, visual_embed.
//
// A picture stands in the top left corner of the batch's grid of cells. Its rows are its own cells,
// of which at most `most` are drawn at random, and then padding. Everything here is decided on the
// host, so that the device is never waited for.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/tensor/batch.h"

namespace tandem::models::vilt {

struct Grid {
  std::int64_t rows = 0, columns = 0;
  friend auto operator<=>(const Grid&, const Grid&) = default;
};

// The visible cells of one picture in the batch's grid, row by row; `grid` is what its positions
// are resized to.
struct Cells {
  Grid grid{};
  std::vector<std::int64_t> visible{};
};

// From the sizes that a batch carries, or from its mask as the original reads it: a cell is what
// its top left pixel says (nearest), height and width are counted in the first column and row.
// Throws Error(data) for a picture without a cell.
std::vector<Cells> visible_cells(const Images& images, std::int64_t patch);

// The rows of the pictures of a batch; N of each where they are padded to one length.
struct PatchRows {
  std::int64_t batch = 0, longest = 0;             // B, N
  std::vector<std::int64_t> counts{};              // that are seen, of each picture
  std::vector<std::vector<std::int64_t>> cells{};  // that are seen, in the batch's grid
  std::vector<std::int64_t> filler{};              // the cell that stands in for padding
  std::vector<Grid> grids{};
};

// At most `most` cells of each picture (-1: all), drawn under the key where there are more.
PatchRows choose_patches(const std::vector<Cells>& pictures, Grid batch, std::int64_t most,
                         Key key);

// For rows that stand end to end (padded: N each): the cell of each in [B * H * W] and its row in
// the table that `resized_positions` gives.
struct PatchIndex {
  std::vector<std::int64_t> cells{}, positions{};
};
PatchIndex index_patches(const PatchRows& rows, Grid batch, bool padded);

// positions [1, 1 + g^2, D] -> [sum of the distinct grids' cells + 1, D]: each distinct grid of
// `grids` once, in ascending order (bilinear, corners aligned), and a row of zeros.
at::Tensor resized_positions(const at::Tensor& positions, const std::vector<Grid>& grids);

// One grid: [1, 1 + g^2, D] -> [h w, D].
at::Tensor resize_grid(const at::Tensor& positions, Grid grid);

}  // namespace tandem::models::vilt
