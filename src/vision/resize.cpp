#include "tandem/vision/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tandem/base/error.h"

namespace tandem::vision {
namespace {

constexpr int precision = 22;  // bits behind the point; 8 for the pixel and 2 for the overshoot

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
      const double value = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << precision);
      taps.weights[i * static_cast<std::size_t>(taps.stride) + k] =
          static_cast<int>(value < 0 ? value - 0.5 : value + 0.5);
    }
    taps.first[i] = first;
    taps.count[i] = last - first;
  }
  return taps;
}

std::uint8_t clip(int sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision, 0, 255));
}

void horizontal(const View& in, int y0, int y1, const Taps& taps, Image& out) {
  for (int y = y0; y < y1; ++y) {
    const std::uint8_t* row = in.row(y);
    std::uint8_t* to = out.row(y - y0);
    for (int x = 0; x < out.width; ++x, to += 3) {
      const int* w = taps.of(x);
      const std::uint8_t* from = row + static_cast<std::ptrdiff_t>(taps.first[std::size_t(x)]) * 3;
      int r = 1 << (precision - 1), g = r, b = r;
      for (int k = 0; k < taps.count[std::size_t(x)]; ++k, from += 3) {
        r += from[0] * w[k];
        g += from[1] * w[k];
        b += from[2] * w[k];
      }
      to[0] = clip(r);
      to[1] = clip(g);
      to[2] = clip(b);
    }
  }
}

// `in` starts at row `y0` of the picture that the taps speak of.
void vertical(const View& in, int y0, const Taps& taps, Image& out) {
  std::vector<int> sums(static_cast<std::size_t>(out.width) * 3);
  for (int y = 0; y < out.height; ++y) {
    std::fill(sums.begin(), sums.end(), 1 << (precision - 1));
    const int* w = taps.of(y);
    for (int k = 0; k < taps.count[std::size_t(y)]; ++k) {
      const std::uint8_t* from = in.row(taps.first[std::size_t(y)] + k - y0);
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += from[i] * w[k];
    }
    std::uint8_t* to = out.row(y);
    for (std::size_t i = 0; i < sums.size(); ++i) to[i] = clip(sums[i]);
  }
}

View view_of(const Image& image) {
  return {image.rgb.data(), static_cast<std::ptrdiff_t>(image.width) * 3, image.width,
          image.height};
}

Image resample(const View& in, const Axis& columns, const Axis& rows, Filter filter) {
  const int width = columns.outputs, height = rows.outputs;
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
