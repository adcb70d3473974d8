#include "tandem/vision/any_resolution.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tandem/base/error.h"

namespace tandem::vision {
namespace {

constexpr double most_elongated = 200;

}  // namespace

Extent smart_resize(const Extent& picture, std::int64_t factor, const PixelLimits& limits,
                    ResizeRule rule, const std::string& where) {
  TANDEM_CHECK(factor > 0 && limits.least <= limits.most, "[vision] limits of a picture's size");
  const auto height = static_cast<double>(picture.height);
  const auto width = static_cast<double>(picture.width);
  const auto cell = static_cast<double>(factor);
  if (picture.height < 1 || picture.width < 1 ||
      std::max(height, width) / std::min(height, width) > most_elongated) {
    throw Error(ErrorKind::data,
                "[vision] expected a picture at most 200 times as long as wide; got " +
                    std::to_string(picture.width) + " x " + std::to_string(picture.height),
                where);
  }
  // nearbyint rounds halves to even, as Python's round does.
  double h = std::nearbyint(height / cell) * cell, w = std::nearbyint(width / cell) * cell;
  if (rule == ResizeRule::qwen) {
    h = std::max(h, cell);
    w = std::max(w, cell);
  }
  if (h * w > limits.most) {
    const double shrink = std::sqrt(height * width / limits.most);
    h = std::floor(height / shrink / cell) * cell;
    w = std::floor(width / shrink / cell) * cell;
    if (rule == ResizeRule::transformers) {
      h = std::max(h, cell);
      w = std::max(w, cell);
    }
  } else if (h * w < limits.least) {
    const double grow = std::sqrt(limits.least / (height * width));
    h = std::ceil(height * grow / cell) * cell;
    w = std::ceil(width * grow / cell) * cell;
  }
  if (h < cell || w < cell) {
    throw Error(ErrorKind::data,
                "[vision] a side of the picture is less than a cell after resizing: " +
                    std::to_string(picture.width) + " x " + std::to_string(picture.height),
                where);
  }
  return {static_cast<std::int64_t>(h), static_cast<std::int64_t>(w)};
}

Grid grid_of(const Extent& frame, std::int64_t frames, const PatchShape& shape) {
  TANDEM_CHECK(frames > 0 && frame.height > 0 && frame.width > 0 &&
                   frame.height % shape.factor() == 0 && frame.width % shape.factor() == 0,
               "[vision] expected sides that are multiples of a cell");
  return {(frames + shape.frames - 1) / shape.frames, frame.height / shape.patch,
          frame.width / shape.patch};
}

std::int64_t tokens_of(const Grid& grid, std::int64_t merge) {
  return grid.t * (grid.h / merge) * (grid.w / merge);
}

namespace {

// One patch of one slice of time: its top left pixel is (y, x).
std::uint8_t* write_patch(std::span<const Image> frames, std::int64_t first, std::int64_t y,
                          std::int64_t x, const PatchShape& shape, std::uint8_t* out) {
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::int64_t frame = 0; frame < shape.frames; ++frame) {
      const auto last = static_cast<std::int64_t>(frames.size()) - 1;
      const Image& image = frames[static_cast<std::size_t>(std::min(first + frame, last))];
      for (std::int64_t row = 0; row < shape.patch; ++row) {
        const std::uint8_t* from =
            image.row(static_cast<int>(y + row)) + static_cast<std::size_t>(x) * 3 + channel;
        for (std::int64_t column = 0; column < shape.patch; ++column, from += 3) *out++ = *from;
      }
    }
  }
  return out;
}

}  // namespace

void write_patches(std::span<const Image> frames, const PatchShape& shape,
                   std::span<std::uint8_t> out) {
  TANDEM_CHECK(!frames.empty(), "[vision] expected a frame");
  const Extent extent{frames[0].height, frames[0].width};
  for (const Image& frame : frames) {
    TANDEM_CHECK(frame.height == extent.height && frame.width == extent.width,
                 "[vision] expected frames of one size");
  }
  const Grid grid = grid_of(extent, static_cast<std::int64_t>(frames.size()), shape);
  TANDEM_CHECK(static_cast<std::int64_t>(out.size()) == grid.patches() * shape.numbers(),
               "[vision] a buffer of another size");
  std::uint8_t* to = out.data();
  for (std::int64_t t = 0; t < grid.t; ++t) {
    for (std::int64_t cell_y = 0; cell_y < grid.h; cell_y += shape.merge) {
      for (std::int64_t cell_x = 0; cell_x < grid.w; cell_x += shape.merge) {
        for (std::int64_t i = 0; i < shape.merge * shape.merge; ++i) {
          const std::int64_t y = cell_y + i / shape.merge, x = cell_x + i % shape.merge;
          to = write_patch(frames, t * shape.frames, y * shape.patch, x * shape.patch, shape, to);
        }
      }
    }
  }
}

}  // namespace tandem::vision
