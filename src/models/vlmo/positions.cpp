#include "models/vlmo/positions.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tandem/base/error.h"

namespace tandem::models::vlmo {
namespace {

// The first row, then the first column, then the corner: in this order, as each overwrites.
void mark_first(at::Tensor index, std::int64_t last_row) {
  index.select(0, 0).fill_(last_row - 3);
  index.select(1, 0).fill_(last_row - 2);
  index.select(0, 0).select(0, 0).fill_(last_row - 1);
}

}  // namespace

at::Tensor image_index(const RelativePositions& p) {
  const std::int64_t cells = p.grid * p.grid;
  at::Tensor index = at::empty({1 + cells, 1 + cells}, at::kLong);
  auto* out = index.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < cells; ++i) {
    for (std::int64_t j = 0; j < cells; ++j) {
      const std::int64_t down = i / p.grid - j / p.grid + p.grid - 1;
      const std::int64_t right = i % p.grid - j % p.grid + p.grid - 1;
      out[(1 + i) * (1 + cells) + 1 + j] = down * (2 * p.grid - 1) + right;
    }
  }
  mark_first(index, p.of_pictures());
  return index;
}

at::Tensor text_index(const RelativePositions& p, std::int64_t length) {
  at::Tensor index = at::empty({length, length}, at::kLong);
  auto* out = index.mutable_data_ptr<std::int64_t>();
  // Columns minus rows: the other way round than between patches.
  for (std::int64_t i = 1; i < length; ++i) {
    for (std::int64_t j = 1; j < length; ++j) {
      out[i * length + j] = j - i + (p.longest_text - 2) + p.of_pictures() + 2;
    }
  }
  mark_first(index, p.rows());
  return index;
}

at::Tensor joint_index(const RelativePositions& p, const at::Tensor& text,
                       const at::Tensor& image) {
  const std::int64_t words = text.size(0), cells = image.size(0);
  const at::Tensor to_image = at::full({words, cells}, p.of_pictures(), text.options());
  const at::Tensor to_text = at::full({cells, words}, p.of_pictures() + 1, text.options());
  return at::cat({at::cat({text, to_image}, 1), at::cat({to_text, image}, 1)});
}

namespace {

// Places of the old offsets -n .. n on the axis of the new ones, whose largest is `reach`: gaps
// 1, q, q^2, ... from the middle outwards, with the sum of n gaps close to `reach`.
std::vector<double> places(std::int64_t n, std::int64_t reach) {
  double left = 1.01, right = 1.5, q = 0;
  while (right - left > 1e-6) {
    q = (left + right) / 2;
    const double sum = (1 - std::pow(q, static_cast<double>(n))) / (1 - q);
    (sum > static_cast<double>(reach) ? right : left) = q;
  }
  std::vector<double> at(static_cast<std::size_t>(2 * n + 1), 0);
  double place = 1;
  for (std::int64_t i = 0; i < n; ++i) {
    at[static_cast<std::size_t>(n + 1 + i)] = place;
    at[static_cast<std::size_t>(n - 1 - i)] = -place;
    place += std::pow(q, static_cast<double>(i + 1));
  }
  return at;
}

// The cubic spline through values at `x`, with no knot at the second and the last but one place
// (FITPACK's interpolating spline), as a matrix: values at x -> values at `to`. Outside of x the
// nearest end counts. [to, x], fp64
at::Tensor spline_matrix(const std::vector<double>& x, const std::vector<double>& to) {
  const auto n = static_cast<std::int64_t>(x.size());
  TANDEM_CHECK(n >= 4, "[positions] expected at least 4 places");
  const double reach = x.back();  // powers of numbers within [-1, 1] keep the system well behaved
  const auto size = [](std::size_t i) { return static_cast<std::int64_t>(i); };
  // Truncated powers: 1, x, x^2, x^3 and (x - knot)^3 where x is above the knot.
  const auto basis = [&](const std::vector<double>& where) {
    at::Tensor rows = at::empty({size(where.size()), n}, at::kDouble);
    auto a = rows.accessor<double, 2>();
    for (std::size_t r = 0; r < where.size(); ++r) {
      const double t = std::clamp(where[r], x.front(), x.back()) / reach;
      for (std::int64_t c = 0; c < 4; ++c) a[size(r)][c] = std::pow(t, static_cast<double>(c));
      for (std::int64_t c = 4; c < n; ++c) {
        const double above = std::max(0.0, t - x[static_cast<std::size_t>(c - 2)] / reach);
        a[size(r)][c] = above * above * above;
      }
    }
    return rows;
  };
  const at::Tensor coefficients = at::linalg_solve(basis(x), at::eye(n, at::kDouble));
  return at::matmul(basis(to), coefficients);
}

// Of the offsets between patches: [(2 g - 1)^2, C] of one grid for another.
at::Tensor resampled(const at::Tensor& offsets, std::int64_t from, std::int64_t to) {
  const std::int64_t old_side = 2 * from - 1, side = 2 * to - 1, columns = offsets.size(1);
  TANDEM_CHECK(old_side >= 5, "[positions] expected a grid of at least 3 x 3");
  std::vector<double> targets;
  for (std::int64_t i = -(side / 2); i <= side / 2; ++i) targets.push_back(static_cast<double>(i));
  const at::Tensor matrix = spline_matrix(places(old_side / 2, side / 2), targets);  // [n, o]
  const at::Tensor grid =
      offsets.to(at::kDouble).t().reshape({columns, old_side, old_side});       // [C, o, o]
  const at::Tensor resized = at::matmul(at::matmul(matrix, grid), matrix.t());  // [C, n, n]
  return resized.reshape({columns, side * side}).t().to(offsets.scalar_type());
}

// Of words, 2 M rows: offsets from -(M - 2) to M - 2, then the three of [CLS].
at::Tensor of_other_texts(const at::Tensor& words, std::int64_t from, std::int64_t to) {
  const std::int64_t middle = from - 2, reach = to - 2;
  const at::Tensor offsets = at::arange(-reach, reach + 1, at::kLong).clamp(-middle, middle);
  return at::cat({words.index_select(0, offsets.add(middle)), words.narrow(0, 2 * from - 3, 3)});
}

}  // namespace

at::Tensor resize_table(const at::Tensor& table, const RelativePositions& from,
                        const RelativePositions& to) {
  TANDEM_CHECK(table.size(0) == from.rows(), "[positions] expected the rows of `from`");
  const std::int64_t cells = (2 * from.grid - 1) * (2 * from.grid - 1);
  at::Tensor patches = table.narrow(0, 0, cells);
  const at::Tensor marks = table.narrow(0, cells, 3 + 2);
  at::Tensor words = table.narrow(0, cells + 3 + 2, 2 * from.longest_text);
  if (from.grid != to.grid) patches = resampled(patches, from.grid, to.grid);
  if (from.longest_text != to.longest_text) {
    words = of_other_texts(words, from.longest_text, to.longest_text);
  }
  return at::cat({patches, marks, words});
}

}  // namespace tandem::models::vlmo
