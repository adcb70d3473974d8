#include "tandem/vision/encode.h"

#include <spng.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tandem/base/error.h"
#include "tandem/vision/resize.h"

namespace tandem::vision {
namespace {

struct FreePng {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};

void check(int code) {
  if (code == 0) return;
  throw Error(ErrorKind::internal, std::string("[encode] ") + spng_strerror(code));
}

}  // namespace

std::string encode_png(const Image& image) {
  TANDEM_CHECK(!image.empty(), "[encode] an empty picture");
  const std::unique_ptr<spng_ctx, FreePng> png(spng_ctx_new(SPNG_CTX_ENCODER));
  TANDEM_CHECK(png != nullptr, "out of memory for a PNG's context");
  check(spng_set_option(png.get(), SPNG_ENCODE_TO_BUFFER, 1));
  spng_ihdr header{};
  header.width = static_cast<std::uint32_t>(image.width);
  header.height = static_cast<std::uint32_t>(image.height);
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
  check(spng_set_ihdr(png.get(), &header));
  check(spng_encode_image(png.get(), image.rgb.data(), image.rgb.size(), SPNG_FMT_PNG,
                          SPNG_ENCODE_FINALIZE));
  std::size_t size = 0;
  int code = 0;
  const std::unique_ptr<void, void (*)(void*)> buffer(spng_get_png_buffer(png.get(), &size, &code),
                                                      std::free);
  check(code);
  return {static_cast<const char*>(buffer.get()), size};
}

Image thumbnail(const Image& image, int side) {
  const int longer = std::max(image.width, image.height);
  if (longer <= side) return image;
  const auto scaled = [&](int length) {
    return std::max(1, static_cast<int>(static_cast<std::int64_t>(length) * side / longer));
  };
  return resize(image, scaled(image.width), scaled(image.height), Filter::bicubic);
}

}  // namespace tandem::vision
