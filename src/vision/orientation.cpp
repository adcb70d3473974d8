// Where EXIF's tag 0x0112 stands in each encoding, and what it asks for.
// Sources: CIPA DC-008 (Exif 2.3), 4.6.4 and 4.7.2; TIFF 6.0, section 2; PNG 1.5's eXIf; the RIFF
// container of WebP.

#include <algorithm>
#include <optional>

#include "vision/codecs.h"

namespace tandem::vision {
namespace {

constexpr std::string_view exif_mark("Exif\0\0", 6);

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::size_t big32(Bytes b, std::size_t at) {
  return std::size_t{b[at]} << 24 | std::size_t{b[at + 1]} << 16 | std::size_t{b[at + 2]} << 8 |
         b[at + 3];
}
std::size_t little32(Bytes b, std::size_t at) {
  return std::size_t{b[at + 3]} << 24 | std::size_t{b[at + 2]} << 16 | std::size_t{b[at + 1]} << 8 |
         b[at];
}

// From TIFF's header on.
int orientation_of_tiff(Bytes tiff) {
  const std::string_view start = text_of(tiff).substr(0, 4);
  const bool little = start == std::string_view("II*\0", 4);
  if (tiff.size() < 14 || (!little && start != std::string_view("MM\0*", 4))) return 1;
  const auto get16 = [&](std::size_t at) {
    return little ? tiff[at] | tiff[at + 1] << 8 : tiff[at] << 8 | tiff[at + 1];
  };
  const std::size_t directory = little ? little32(tiff, 4) : big32(tiff, 4);
  if (directory > tiff.size() - 2) return 1;
  const int entries = get16(directory);
  for (std::size_t i = 0; i < static_cast<std::size_t>(entries); ++i) {
    const std::size_t at = directory + 2 + i * 12;
    if (at + 12 > tiff.size()) return 1;
    if (get16(at) != 0x0112) continue;
    constexpr int short_type = 3;
    const int value = get16(at + 8);
    return get16(at + 2) == short_type && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

Bytes exif_of_jpeg(Bytes jpeg) {
  for (std::size_t at = 2; at + 4 <= jpeg.size();) {
    if (jpeg[at] != 0xFF) return {};
    const std::uint8_t marker = jpeg[at + 1];
    if (marker == 0xFF) {  // padding
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) return {};  // pixels, or the end
    const std::size_t length = std::size_t{jpeg[at + 2]} << 8 | jpeg[at + 3];
    if (length < 2 || length > jpeg.size() - at - 2) return {};
    const Bytes segment = jpeg.subspan(at + 4, length - 2);
    if (marker == 0xE1 && text_of(segment).starts_with(exif_mark)) return segment.subspan(6);
    at += 2 + length;
  }
  return {};
}

Bytes exif_of_png(Bytes png) {
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const std::size_t length = big32(png, at);
    if (length > png.size() - at - 12) return {};
    if (text_of(png.subspan(at + 4, 4)) == "eXIf") return png.subspan(at + 8, length);
    at += 12 + length;
  }
  return {};
}

Bytes exif_of_webp(Bytes webp) {
  for (std::size_t at = 12; at + 8 <= webp.size();) {
    const std::size_t length = little32(webp, at + 4);
    if (length > webp.size() - at - 8) return {};
    if (text_of(webp.subspan(at, 4)) == "EXIF") return webp.subspan(at + 8, length);
    at += 8 + length + length % 2;
  }
  return {};
}

Bytes exif_of(Bytes bytes) {
  switch (sniff(bytes)) {
    case Encoding::jpeg:
      return exif_of_jpeg(bytes);
    case Encoding::png:
      return exif_of_png(bytes);
    case Encoding::webp:
      return exif_of_webp(bytes);
    case Encoding::unknown:
      break;
  }
  return {};
}

}  // namespace

int orientation(Bytes bytes) noexcept {
  Bytes exif = exif_of(bytes);
  if (text_of(exif).starts_with(exif_mark)) exif = exif.subspan(6);  // some writers repeat it
  return orientation_of_tiff(exif);
}

Image upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool turned = orientation >= 5;
  Image out =
      turned ? make_image(image.height, image.width) : make_image(image.width, image.height);
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (int y = 0; y < out.height; ++y) {
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, to += 3) {
      int from_x = turned ? y : x, from_y = turned ? x : y;
      if (flip_x) from_x = image.width - 1 - from_x;
      if (flip_y) from_y = image.height - 1 - from_y;
      std::copy_n(image.row(from_y) + static_cast<std::ptrdiff_t>(from_x) * 3, 3, to);
    }
  }
  return out;
}

Image decode_upright(Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  return upright(decode(bytes, where, limits), orientation(bytes));
}

}  // namespace tandem::vision
