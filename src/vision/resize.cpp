#include "tandem/vision/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "tandem/base/error.h"
#include "vision/weigh.h"

namespace tandem::vision {
namespace {

// Rows that may belong to a larger picture.
struct View {
  const std::uint8_t* data = nullptr;
  std::ptrdiff_t stride = 0;
  int width = 0, height = 0;

  const std::uint8_t* row(int y) const { return data + stride * y; }
};

double weight(Filter filter, double x) {
  x = std::abs(x);
  if (filter == Filter::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// For each output pixel the input pixels it is made of, and their weights.
struct Taps {
  int stride = 0;
  std::vector<int> first{}, count{}, weights{};
  const int* of(int i) const {
    return weights.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(stride);
  }
};

// Of an axis whose [low, high) becomes `out_size` pixels: those of [from, from + outputs) only.
struct Axis {
  int in_size = 0;
  double low = 0, high = 0;
  int out_size = 0, from = 0, outputs = 0;

  bool same() const {
    return low == 0 && high == in_size && out_size == in_size && from == 0 && outputs == in_size;
  }
};

Taps make_taps(const Axis& axis, Filter filter) {
  const double low = axis.low, scale = (axis.high - axis.low) / axis.out_size;
  const double spread = std::max(scale, 1.0);
  const double support = (filter == Filter::bilinear ? 1.0 : 2.0) * spread;
  Taps taps;
  taps.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  const auto outputs = static_cast<std::size_t>(axis.outputs);
  taps.first.resize(outputs);
  taps.count.resize(outputs);
  taps.weights.resize(outputs * static_cast<std::size_t>(taps.stride));
  std::vector<double> exact(static_cast<std::size_t>(taps.stride));
  for (std::size_t i = 0; i < outputs; ++i) {
    const double centre = low + (static_cast<double>(i) + axis.from + 0.5) * scale;
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int last = std::min(static_cast<int>(centre + support + 0.5), axis.in_size);
    const auto count = static_cast<std::size_t>(last - first);
    double sum = 0;
    for (std::size_t k = 0; k < count; ++k) {
      exact[k] = weight(filter, (static_cast<double>(k) + first - centre + 0.5) * (1.0 / spread));
      sum += exact[k];
    }
    for (std::size_t k = 0; k < count; ++k) {
      const double value = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << weight_bits);
      taps.weights[i * static_cast<std::size_t>(taps.stride) + k] =
          static_cast<int>(value < 0 ? value - 0.5 : value + 0.5);
    }
    taps.first[i] = first;
    taps.count[i] = last - first;
  }
  return taps;
}

// The first pass takes 8 rows at a time, so that the same byte of all of them is one vector.
void horizontal(const View& in, int y0, int y1, const Taps& taps, Image& out) {
  static const Weigh weigh = best_weigh();
  const auto first = static_cast<std::size_t>(taps.first.front()) * 3;
  const auto last = static_cast<std::size_t>(taps.first.back() + taps.count.back()) * 3;
  std::vector<std::uint8_t> block(last * 8);
  std::array<const std::uint8_t*, 8> rows{};
  std::array<std::uint8_t, 24> pixel{};  // [3][8]
  for (int y = y0; y < y1; y += 8) {
    const int here = std::min(8, y1 - y);
    for (int r = 0; r < 8; ++r) rows[std::size_t(r)] = in.row(y + std::min(r, here - 1));
    interleave8(rows.data(), first, last, block.data());
    for (int x = 0; x < out.width; ++x) {
      const auto start = static_cast<std::size_t>(taps.first[std::size_t(x)]) * pixel.size();
      weigh(block.data() + start, pixel.size(), taps.of(x), taps.count[std::size_t(x)],
            pixel.data(), pixel.size());
      for (int r = 0; r < here; ++r) {
        std::uint8_t* to = out.row(y - y0 + r) + std::ptrdiff_t{3} * x;
        for (std::size_t c = 0; c < 3; ++c) to[c] = pixel[c * 8 + std::size_t(r)];
      }
    }
  }
}

// `in` starts at row `y0` of the picture that the taps speak of.
void vertical(const View& in, int y0, const Taps& taps, Image& out) {
  static const Weigh weigh = best_weigh();
  for (int y = 0; y < out.height; ++y) {
    weigh(in.row(taps.first[std::size_t(y)] - y0), in.stride, taps.of(y),
          taps.count[std::size_t(y)], out.row(y), static_cast<std::size_t>(out.width) * 3);
  }
}

View view_of(const Image& image) {
  return {image.rgb.data(), static_cast<std::ptrdiff_t>(image.width) * 3, image.width,
          image.height};
}

// Which pass comes first decides what is rounded between them. The rule is found from what Pillow
// 13.0.0 gives for sizes up, down and mixed; it is the same for both filters.
bool rows_first(const Axis& columns, const Axis& rows) {
  const int less = rows.in_size - rows.out_size;
  return less > 0 && less > 2 * (columns.in_size - columns.out_size);
}

Image resample_rows_first(const View& in, const Axis& columns, const Axis& rows, Filter filter) {
  Taps across = make_taps(columns, filter);
  const int x0 = across.first.front();  // the columns that the second pass will read
  const int x1 = across.first.back() + across.count.back();
  for (int& first : across.first) first -= x0;
  View from = in;
  from.data += std::ptrdiff_t{3} * x0;
  Image middle = make_image(x1 - x0, rows.outputs);
  vertical(from, 0, make_taps(rows, filter), middle);
  Image out = make_image(columns.outputs, rows.outputs);
  horizontal(view_of(middle), 0, rows.outputs, across, out);
  return out;
}

Image resample(const View& in, const Axis& columns, const Axis& rows, Filter filter) {
  const int width = columns.outputs, height = rows.outputs;
  if (!columns.same() && !rows.same() && rows_first(columns, rows)) {
    return resample_rows_first(in, columns, rows, filter);
  }
  if (columns.same() && rows.same()) {
    Image same = make_image(width, height);
    for (int y = 0; y < height; ++y) {
      std::memcpy(same.row(y), in.row(y), static_cast<std::size_t>(width) * 3);
    }
    return same;
  }
  Taps taps;
  int y0 = 0, y1 = in.height;  // the rows that the second pass will read
  if (!rows.same()) {
    taps = make_taps(rows, filter);
    y0 = taps.first.front();
    y1 = taps.first.back() + taps.count.back();
  }
  Image middle;
  View from = in;
  if (columns.same()) {
    from.data = in.row(y0);
  } else {
    middle = make_image(width, y1 - y0);
    horizontal(in, y0, y1, make_taps(columns, filter), middle);
    if (rows.same()) return middle;
    from = view_of(middle);
  }
  Image out = make_image(width, height);
  vertical(from, y0, taps, out);
  return out;
}

void check_size(int width, int height) {
  TANDEM_CHECK(width > 0 && height > 0 && width <= 1 << 16 && height <= 1 << 16,
               "[resize] a size of " + std::to_string(width) + " x " + std::to_string(height));
}

}  // namespace

Image resize(const Image& image, int width, int height, Filter filter,
             const std::optional<Window>& window) {
  check_size(width, height);
  const Window all{0, 0, static_cast<double>(image.width), static_cast<double>(image.height)};
  const Window part = window.value_or(all);
  TANDEM_CHECK(part.x0 >= 0 && part.y0 >= 0 && part.x0 < part.x1 && part.y0 < part.y1 &&
                   part.x1 <= all.x1 && part.y1 <= all.y1,
               "[resize] a window outside the picture");
  return resample(view_of(image), {image.width, part.x0, part.x1, width, 0, width},
                  {image.height, part.y0, part.y1, height, 0, height}, filter);
}

Image resized_crop(const Image& image, const Rectangle& part, int width, int height,
                   Filter filter) {
  check_size(width, height);
  TANDEM_CHECK(part.x >= 0 && part.y >= 0 && part.width > 0 && part.height > 0 &&
                   part.x + part.width <= image.width && part.y + part.height <= image.height,
               "[resized_crop] a rectangle outside the picture");
  const View view{image.row(part.y) + static_cast<std::ptrdiff_t>(part.x) * 3,
                  static_cast<std::ptrdiff_t>(image.width) * 3, part.width, part.height};
  return resample(view, {part.width, 0, static_cast<double>(part.width), width, 0, width},
                  {part.height, 0, static_cast<double>(part.height), height, 0, height}, filter);
}

Image resize_part(const Image& image, int width, int height, const Rectangle& part, Filter filter) {
  check_size(part.width, part.height);
  TANDEM_CHECK(
      part.x >= 0 && part.y >= 0 && part.width <= width - part.x && part.height <= height - part.y,
      "[resize_part] a rectangle outside the resized picture");
  return resample(
      view_of(image), {image.width, 0, static_cast<double>(image.width), width, part.x, part.width},
      {image.height, 0, static_cast<double>(image.height), height, part.y, part.height}, filter);
}

Image crop(const Image& image, const Rectangle& part) {
  check_size(part.width, part.height);
  Image out = make_image(part.width, part.height);
  const int x0 = std::clamp(part.x, 0, image.width);
  const int x1 = std::clamp(part.x + part.width, x0, image.width);
  for (int y = std::max(part.y, 0); y < std::min(part.y + part.height, image.height); ++y) {
    if (x1 == x0) break;
    std::memcpy(out.row(y - part.y) + static_cast<std::ptrdiff_t>(x0 - part.x) * 3,
                image.row(y) + static_cast<std::ptrdiff_t>(x0) * 3,
                static_cast<std::size_t>(x1 - x0) * 3);
  }
  return out;
}

void flip_horizontal(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* row = image.row(y);
    for (int x = 0, z = image.width - 1; x < z; ++x, --z) {
      std::swap_ranges(row + x * 3, row + x * 3 + 3, row + z * 3);
    }
  }
}

}  // namespace tandem::vision
