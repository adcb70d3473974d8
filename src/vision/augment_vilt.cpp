// ViLT's operations: Pillow's ImageOps, ImageEnhance and affine transforms with nearest neighbours,
// to the bit. Source: Pillow's Geometry.c, Blend.c, Filter.c, Image.rotate.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "vision/augment_ops.h"

namespace tandem::vision {
namespace {

double between(double strength, double low, double high) { return strength * (high - low) + low; }

// Image.transform(size, AFFINE, (a, b, c, d, e, f)): black outside. Fixed point of 16 bits up to
// 32768 pixels, as Pillow computes it; ours goes on so above.
Image affine(const Image& image, const double (&m)[6]) {
  const auto fixed = [](double value) {
    return static_cast<std::int64_t>(std::floor(value * 65536.0 + 0.5));
  };
  Image out = make_image(image.width, image.height);
  std::int64_t x0 = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5),
               y0 = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
  for (int y = 0; y < out.height; ++y) {
    std::int64_t xx = x0, yy = y0;
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, to += 3) {
      const std::int64_t from_x = xx >> 16, from_y = yy >> 16;
      if (from_x >= 0 && from_x < image.width && from_y >= 0 && from_y < image.height) {
        std::copy_n(image.row(static_cast<int>(from_y)) + from_x * 3, 3, to);
      }
      xx += fixed(m[0]);
      yy += fixed(m[3]);
    }
    x0 += fixed(m[1]);
    y0 += fixed(m[4]);
  }
  return out;
}

// With a[1] == a[3] == 0 Pillow takes another way, which truncates the coordinates themselves.
Image shifted(const Image& image, double dx, double dy) {
  const auto truncated = [](double value) { return value < 0 ? -1 : static_cast<int>(value); };
  Image out = make_image(image.width, image.height);
  for (int y = 0; y < out.height; ++y) {
    const int from_y = truncated(dy + 0.5 + y);
    if (from_y < 0 || from_y >= image.height) continue;
    for (int x = 0; x < out.width; ++x) {
      const int from_x = truncated(dx + 0.5 + x);
      if (from_x < 0 || from_x >= image.width) continue;
      std::copy_n(image.row(from_y) + static_cast<std::ptrdiff_t>(from_x) * 3, 3,
                  out.row(y) + static_cast<std::ptrdiff_t>(x) * 3);
    }
  }
  return out;
}

double signed_by(double value, bool negative) { return negative ? -value : value; }

Image rotate(const Image& image, double strength, bool negative) {
  if (strength == 0) return image;
  const auto rounded = [](double value) { return std::round(value * 1e15) / 1e15; };
  constexpr double degree = 3.14159265358979323846 / 180;
  const double turn = signed_by(between(strength, 0, 30), negative);
  const double angle = -((turn < 0 ? turn + 360 : turn) * degree);
  const double c = rounded(std::cos(angle)), s = rounded(std::sin(angle));
  const double x = image.width / 2.0, y = image.height / 2.0;
  return affine(image, {c, s, c * -x + s * -y + x, -s, c, -s * -x + c * -y + y});
}

Image shear_x(const Image& image, double strength, bool negative) {
  const double v = signed_by(between(strength, 0, 0.3), negative);
  return v == 0 ? image : affine(image, {1, v, 0, 0, 1, 0});
}
Image shear_y(const Image& image, double strength, bool negative) {
  const double v = signed_by(between(strength, 0, 0.3), negative);
  return v == 0 ? image : affine(image, {1, 0, 0, v, 1, 0});
}
Image translate_x(const Image& image, double strength, bool negative) {
  return shifted(image, signed_by(between(strength, 0, 100), negative), 0);
}
Image translate_y(const Image& image, double strength, bool negative) {
  return shifted(image, 0, signed_by(between(strength, 0, 100), negative));
}

Image auto_contrast_op(const Image& image, double, bool) { return auto_contrast(image); }
Image equalize_op(const Image& image, double, bool) { return equalize(image); }

Image posterize(const Image& image, double strength, bool) {
  const int bits = std::max(1, static_cast<int>(between(strength, 0, 4)));
  const int mask = ~((1 << (8 - bits)) - 1);
  ByteTable table;
  for (int i = 0; i < 256; ++i) table[i] = static_cast<std::uint8_t>(i & mask);
  return through_table(image, table);
}

Image solarize(const Image& image, double strength, bool) {
  const double threshold = between(strength, 0, 256);
  ByteTable table;
  for (int i = 0; i < 256; ++i) table[i] = static_cast<std::uint8_t>(i < threshold ? i : 255 - i);
  return through_table(image, table);
}

Image solarize_add(const Image& image, double strength, bool) {
  const double more = between(strength, 0, 110);
  ByteTable table;
  for (int i = 0; i < 256; ++i) {
    const int sum = static_cast<int>(std::min(i + more, 255.0));
    table[i] = static_cast<std::uint8_t>(sum < 128 ? sum : 255 - sum);
  }
  return through_table(image, table);
}

std::uint8_t gray_of(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >>
                                   16);
}

std::uint8_t blend(std::uint8_t from, std::uint8_t to, float factor) {
  const float value = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<std::uint8_t>(value <= 0 ? 0 : value >= 255 ? 255 : value);
}

float factor_of(double strength) { return static_cast<float>(between(strength, 0.1, 1.9)); }

Image color(const Image& image, double strength, bool) {
  Image out = image;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    const std::uint8_t gray = gray_of(&image.rgb[i]);
    for (std::size_t c = 0; c < 3; ++c) {
      out.rgb[i + c] = blend(gray, image.rgb[i + c], factor_of(strength));
    }
  }
  return out;
}

Image contrast(const Image& image, double strength, bool) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) sum += gray_of(&image.rgb[i]);
  const double mean = static_cast<double>(sum) / (static_cast<double>(image.rgb.size()) / 3);
  const auto gray = static_cast<std::uint8_t>(mean + 0.5);
  ByteTable table;
  for (int i = 0; i < 256; ++i) {
    table[i] = blend(gray, static_cast<std::uint8_t>(i), factor_of(strength));
  }
  return through_table(image, table);
}

Image brightness(const Image& image, double strength, bool) {
  ByteTable table;
  for (int i = 0; i < 256; ++i) {
    table[i] = blend(0, static_cast<std::uint8_t>(i), factor_of(strength));
  }
  return through_table(image, table);
}

Image sharpness(const Image& image, double strength, bool) {
  constexpr float side = 1.0F / 13, centre = 5.0F / 13;
  if (image.width < 3 || image.height < 3) return image;
  Image out = image;  // the edge is not smoothed
  for (int y = 1; y + 1 < image.height; ++y) {
    const std::uint8_t *above = image.row(y - 1), *here = image.row(y), *below = image.row(y + 1);
    std::uint8_t* to = out.row(y);
    for (int i = 3; i < (image.width - 1) * 3; ++i) {
      float sum = 0.5F;
      sum += static_cast<float>(below[i - 3]) * side + static_cast<float>(below[i]) * side +
             static_cast<float>(below[i + 3]) * side;
      sum += static_cast<float>(here[i - 3]) * side + static_cast<float>(here[i]) * centre +
             static_cast<float>(here[i + 3]) * side;
      sum += static_cast<float>(above[i - 3]) * side + static_cast<float>(above[i]) * side +
             static_cast<float>(above[i + 3]) * side;
      const auto smooth = static_cast<std::uint8_t>(sum <= 0 ? 0 : sum >= 255 ? 255 : sum);
      to[i] = blend(smooth, here[i], factor_of(strength));
    }
  }
  return out;
}

}  // namespace

std::span<const AugmentOp> vilt_ops() {
  static const AugmentOp ops[] = {
      {"AutoContrast", auto_contrast_op},
      {"Equalize", equalize_op},
      {"Rotate", rotate},
      {"Posterize", posterize},
      {"Solarize", solarize},
      {"SolarizeAdd", solarize_add},
      {"Color", color},
      {"Contrast", contrast},
      {"Brightness", brightness},
      {"Sharpness", sharpness},
      {"ShearX", shear_x},
      {"ShearY", shear_y},
      {"TranslateXabs", translate_x},
      {"TranslateYabs", translate_y},
  };
  return ops;
}

}  // namespace tandem::vision
