// Operations that look each byte up in a table, as Pillow's ImageOps work.

#include <algorithm>
#include <array>
#include <cstdint>

#include "vision/augment_ops.h"

namespace tandem::vision {
namespace {

using Histogram = std::array<std::int64_t, 256>;

// Each channel through a table of its own, made from its histogram.
template <class MakeTable>
Image by_channel(const Image& image, const MakeTable& make_table) {
  Image out = image;
  for (std::size_t c = 0; c < 3; ++c) {
    Histogram histogram{};
    for (std::size_t i = c; i < image.rgb.size(); i += 3) ++histogram[image.rgb[i]];
    std::array<std::uint8_t, 256> table{};
    for (std::size_t i = 0; i < 256; ++i) table[i] = static_cast<std::uint8_t>(i);
    make_table(histogram, table);
    for (std::size_t i = c; i < image.rgb.size(); i += 3) out.rgb[i] = table[image.rgb[i]];
  }
  return out;
}

}  // namespace

Image through_table(const Image& image, const ByteTable& table) {
  Image out = image;
  for (std::uint8_t& value : out.rgb) value = table[value];
  return out;
}

Image auto_contrast(const Image& image) {
  return by_channel(image, [](const Histogram& histogram, std::array<std::uint8_t, 256>& table) {
    int low = 0, high = 255;
    while (low < 255 && histogram[static_cast<std::size_t>(low)] == 0) ++low;
    while (high > 0 && histogram[static_cast<std::size_t>(high)] == 0) --high;
    if (high <= low) return;
    const double scale = 255.0 / (high - low), offset = -low * scale;
    for (std::size_t i = 0; i < 256; ++i) {
      table[i] = static_cast<std::uint8_t>(
          std::clamp(static_cast<int>(static_cast<double>(i) * scale + offset), 0, 255));
    }
  });
}

Image equalize(const Image& image) {
  return by_channel(image, [](const Histogram& histogram, std::array<std::uint8_t, 256>& table) {
    std::int64_t sum = 0, last = 0;
    int used = 0;
    for (const std::int64_t count : histogram) {
      sum += count;
      if (count > 0) last = count;
      used += count > 0;
    }
    const std::int64_t step = (sum - last) / 255;
    if (used <= 1 || step == 0) return;
    std::int64_t n = step / 2;
    for (std::size_t i = 0; i < 256; ++i) {
      table[i] = static_cast<std::uint8_t>(std::min<std::int64_t>(n / step, 255));
      n += histogram[i];
    }
  });
}

}  // namespace tandem::vision
