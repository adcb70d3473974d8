// PNG through libspng, in the colours that Pillow's convert("RGB") gives.

#include <spng.h>

#include <memory>

#include "tandem/base/error.h"
#include "vision/codecs.h"

namespace tandem::vision {
namespace {

struct FreePng {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Png = std::unique_ptr<spng_ctx, FreePng>;

void check(int code, const std::string& where) {
  if (code == 0) return;
  throw Error(ErrorKind::data, std::string("[decode] broken PNG: ") + spng_strerror(code), where);
}

Png open(Bytes bytes, const std::string& where, const DecodeLimits& limits, spng_ihdr& header) {
  Png png(spng_ctx_new(0));
  TANDEM_CHECK(png != nullptr, "out of memory for a PNG's context");
  constexpr std::size_t max_chunk = 16 << 20, max_chunks = 32 << 20;  // of text and profiles
  // Also of chunks that could be passed over: a flipped bit there is a broken file as any other.
  check(spng_set_crc_action(png.get(), SPNG_CRC_ERROR, SPNG_CRC_ERROR), where);
  check(spng_set_chunk_limits(png.get(), max_chunk, max_chunks), where);
  check(spng_set_png_buffer(png.get(), bytes.data(), bytes.size()), where);
  check(spng_get_ihdr(png.get(), &header), where);
  check_limits(header.width, header.height, where, limits);
  return png;
}

// Pillow keeps 16-bit gray as it is and clips it to 255 on the way to RGB.
void clipped_gray(spng_ctx* png, Image& image, const std::string& where) {
  std::vector<std::uint16_t> gray(image.rgb.size() / 3);
  check(spng_decode_image(png, gray.data(), gray.size() * 2, SPNG_FMT_PNG, 0), where);
  for (std::size_t i = 0; i < gray.size(); ++i) {
    const auto value = static_cast<std::uint8_t>(gray[i] > 255 ? 255 : gray[i]);
    for (std::size_t c = 0; c < 3; ++c) image.rgb[i * 3 + c] = value;
  }
}

}  // namespace

PictureSize png_size(Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  spng_ihdr header{};
  const Png png = open(bytes, where, limits, header);
  return {static_cast<int>(header.width), static_cast<int>(header.height)};
}

Image decode_png(Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  spng_ihdr header{};
  const Png png = open(bytes, where, limits, header);
  Image image = make_image(static_cast<int>(header.width), static_cast<int>(header.height));
  if (header.bit_depth == 16 && header.color_type == SPNG_COLOR_TYPE_GRAYSCALE) {
    clipped_gray(png.get(), image, where);
  } else {
    check(spng_decode_image(png.get(), image.rgb.data(), image.rgb.size(), SPNG_FMT_RGB8, 0),
          where);
  }
  check(spng_decode_chunks(png.get()), where);  // up to the end: a missing tail is an error
  return image;
}

}  // namespace tandem::vision
