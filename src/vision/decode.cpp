#include "tandem/vision/decode.h"

#include <algorithm>
#include <array>

#include "tandem/base/error.h"
#include "vision/codecs.h"

namespace tandem::vision {
namespace {

[[noreturn]] void fail_unknown(Bytes bytes, const std::string& where) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string got;
  for (const std::uint8_t byte : bytes.first(std::min<std::size_t>(bytes.size(), 8))) {
    got += {digits[byte >> 4], digits[byte & 15], ' '};
  }
  throw Error(ErrorKind::data,
              "[decode] expected a JPEG, PNG or WebP picture; got " + std::to_string(bytes.size()) +
                  " bytes that start with " + (got.empty() ? "nothing" : got),
              where);
}

}  // namespace

void check_limits(std::int64_t width, std::int64_t height, const std::string& where,
                  const DecodeLimits& limits) {
  if (width > 0 && height > 0 && width <= limits.max_side && height <= limits.max_side &&
      width * height <= limits.max_pixels) {
    return;
  }
  throw Error(ErrorKind::data,
              "[decode] expected a picture of 1 to " + std::to_string(limits.max_pixels) +
                  " pixels; got " + std::to_string(width) + " x " + std::to_string(height),
              where);
}

Encoding sniff(std::span<const std::uint8_t> bytes) noexcept {
  static constexpr std::array<std::uint8_t, 8> png{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  if (bytes.size() >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF) {
    return Encoding::jpeg;
  }
  if (bytes.size() >= png.size() && std::equal(png.begin(), png.end(), bytes.begin())) {
    return Encoding::png;
  }
  const auto word = [&](std::size_t at) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()) + at, 4);
  };
  if (bytes.size() >= 12 && word(0) == "RIFF" && word(8) == "WEBP") return Encoding::webp;
  return Encoding::unknown;
}

Image decode(Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  switch (sniff(bytes)) {
    case Encoding::jpeg:
      return decode_jpeg(bytes, where, limits);
    case Encoding::png:
      return decode_png(bytes, where, limits);
    case Encoding::webp:
      return decode_webp(bytes, where, limits);
    case Encoding::unknown:
      break;
  }
  fail_unknown(bytes, where);
}

Image decode_reduced(Bytes bytes, int reduction, const std::string& where,
                     const DecodeLimits& limits) {
  TANDEM_CHECK(reduction == 1 || reduction == 2 || reduction == 4 || reduction == 8,
               "[decode] a reduction of 1, 2, 4 or 8");
  if (sniff(bytes) != Encoding::jpeg) return decode(bytes, where, limits);
  return decode_jpeg(bytes, where, limits, reduction);
}

PictureSize picture_size(Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  switch (sniff(bytes)) {
    case Encoding::jpeg:
      return jpeg_size(bytes, where, limits);
    case Encoding::png:
      return png_size(bytes, where, limits);
    case Encoding::webp:
      return webp_size(bytes, where, limits);
    case Encoding::unknown:
      break;
  }
  fail_unknown(bytes, where);
}

}  // namespace tandem::vision
