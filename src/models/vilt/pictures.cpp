#include "models/vilt/pictures.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include "tandem/base/error.h"

namespace tandem::models::vilt {
namespace {

[[noreturn]] void no_cell() {
  throw Error(ErrorKind::data, "[pictures] expected at least one patch of each picture");
}

Cells full(Grid grid, std::int64_t columns) {
  if (grid.rows < 1 || grid.columns < 1) no_cell();
  Cells cells{grid, {}};
  for (std::int64_t r = 0; r < grid.rows; ++r) {
    for (std::int64_t c = 0; c < grid.columns; ++c) cells.visible.push_back(r * columns + c);
  }
  return cells;
}

// mask: int64 [H, W] on the CPU.
Cells from_mask(const at::Tensor& mask) {
  Cells cells;
  const std::int64_t rows = mask.size(0), columns = mask.size(1);
  const auto* values = mask.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    if (values[i] != 0) cells.visible.push_back(i);
  }
  for (std::int64_t r = 0; r < rows; ++r) cells.grid.rows += values[r * columns];
  for (std::int64_t c = 0; c < columns; ++c) cells.grid.columns += values[c];
  if (cells.visible.empty() || cells.grid.rows < 1 || cells.grid.columns < 1 ||
      cells.grid.rows > rows || cells.grid.columns > columns) {
    no_cell();
  }
  return cells;
}

// The first `count` of a random order of `cells`, back in their own order.
std::vector<std::int64_t> draw(std::vector<std::int64_t> cells, std::size_t count, Key key) {
  Random random(key);
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(cells[i], cells[i + random.below(cells.size() - i)]);
  }
  cells.resize(count);
  std::sort(cells.begin(), cells.end());
  return cells;
}

std::map<Grid, std::int64_t> first_rows(const std::vector<Grid>& grids, std::int64_t& total) {
  std::map<Grid, std::int64_t> first;
  for (const Grid& grid : grids) first[grid] = 0;
  total = 0;
  for (auto& [grid, row] : first) {
    row = total;
    total += grid.rows * grid.columns;
  }
  return first;
}

}  // namespace

std::vector<Cells> visible_cells(const Images& images, std::int64_t patch) {
  const std::int64_t batch = images.pixels.size(0);
  const std::int64_t rows = images.pixels.size(2) / patch, columns = images.pixels.size(3) / patch;
  std::vector<Cells> all;
  if (!images.sizes.empty()) {
    for (const auto& [height, width] : images.sizes) {
      all.push_back(full({height / patch, width / patch}, columns));
    }
  } else if (images.mask.defined()) {
    if (rows < 1 || columns < 1) no_cell();
    const at::Tensor wide = images.mask.to(at::kCPU, at::kFloat).unsqueeze(1);
    const at::Tensor cells =
        at::upsample_nearest2d(wide, {rows, columns}).squeeze(1).to(at::kLong).contiguous();
    for (std::int64_t i = 0; i < batch; ++i) all.push_back(from_mask(cells[i]));
  } else {
    all.assign(static_cast<std::size_t>(batch), full({rows, columns}, columns));
  }
  return all;
}

PatchRows choose_patches(const std::vector<Cells>& pictures, Grid batch, std::int64_t most,
                         Key key) {
  PatchRows rows;
  rows.batch = static_cast<std::int64_t>(pictures.size());
  for (const Cells& picture : pictures) {
    rows.longest = std::max(rows.longest, picture.grid.rows * picture.grid.columns);
  }
  if (most >= 0) rows.longest = std::min(rows.longest, most);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    std::vector<std::int64_t> cells = pictures[i].visible;
    std::int64_t hidden = 0;  // the first cell that is not of the picture
    while (std::binary_search(cells.begin(), cells.end(), hidden)) ++hidden;
    rows.filler.push_back(hidden < batch.rows * batch.columns ? hidden : 0);
    const auto longest = static_cast<std::size_t>(rows.longest);
    if (cells.size() > longest) cells = draw(std::move(cells), longest, key.fold(i));
    rows.counts.push_back(static_cast<std::int64_t>(cells.size()));
    rows.cells.push_back(std::move(cells));
    rows.grids.push_back(pictures[i].grid);
  }
  return rows;
}

PatchIndex index_patches(const PatchRows& rows, Grid batch, bool padded) {
  std::int64_t zeros = 0;
  const auto first = first_rows(rows.grids, zeros);
  PatchIndex index;
  for (std::size_t i = 0; i < rows.cells.size(); ++i) {
    const Grid grid = rows.grids[i];
    const std::int64_t offset = static_cast<std::int64_t>(i) * batch.rows * batch.columns;
    const auto add = [&](std::int64_t cell) {
      const std::int64_t r = cell / batch.columns, c = cell % batch.columns;
      const bool inside = r < grid.rows && c < grid.columns;
      index.cells.push_back(offset + cell);
      index.positions.push_back(inside ? first.at(grid) + r * grid.columns + c : zeros);
    };
    for (const std::int64_t cell : rows.cells[i]) add(cell);
    for (std::int64_t n = rows.counts[i]; padded && n < rows.longest; ++n) add(rows.filler[i]);
  }
  return index;
}

at::Tensor resize_grid(const at::Tensor& positions, Grid grid) {
  const std::int64_t cells = positions.size(1) - 1, width = positions.size(2);
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(cells))));
  TANDEM_CHECK(side * side == cells, "[pictures] expected a square table of positions");
  const at::Tensor own = positions.narrow(1, 1, cells);
  if (grid.rows == side && grid.columns == side) return own.squeeze(0);
  const at::Tensor square = own.transpose(1, 2).reshape({1, width, side, side});
  return at::upsample_bilinear2d(square, {grid.rows, grid.columns}, /*align_corners=*/true)
      .flatten(2)
      .squeeze(0)
      .t();  // [h w, D]
}

at::Tensor resized_positions(const at::Tensor& positions, const std::vector<Grid>& grids) {
  std::int64_t total = 0;
  std::vector<at::Tensor> parts;
  for (const auto& [grid, row] : first_rows(grids, total)) {
    parts.push_back(resize_grid(positions, grid));
  }
  parts.push_back(at::zeros({1, positions.size(2)}, positions.options().requires_grad(false)));
  return at::cat(parts);
}

}  // namespace tandem::models::vilt
