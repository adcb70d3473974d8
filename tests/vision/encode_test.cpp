#include "tandem/vision/encode.h"

#include <catch2/catch.hpp>

#include "tandem/vision/decode.h"

using namespace tandem::vision;

namespace {

Image colourful(int width, int height) {
  Image image = make_image(width, height);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) {
    image.rgb[i] = static_cast<std::uint8_t>(i * 37 + i / 7);
  }
  return image;
}

}  // namespace

TEST_CASE("an encoded picture decodes to the same pixels, and equal ones to equal bytes") {
  for (const auto& [width, height] : {std::pair(1, 1), std::pair(7, 5), std::pair(64, 96)}) {
    const Image image = colourful(width, height);
    const std::string png = encode_png(image);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(png.data());
    CHECK(decode({bytes, png.size()}) == image);
    CHECK(encode_png(image) == png);
  }
}

TEST_CASE("a thumbnail keeps the proportions and small pictures as they are") {
  CHECK(thumbnail(colourful(7, 5), 8) == colourful(7, 5));
  const Image wide = thumbnail(colourful(200, 50), 96), thin = thumbnail(colourful(1, 500), 96);
  CHECK(wide.width == 96);
  CHECK(wide.height == 24);
  CHECK(thin.width == 1);
  CHECK(thin.height == 96);
}
