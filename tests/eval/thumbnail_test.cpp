#include "tandem/eval/thumbnail.h"

#include <catch2/catch.hpp>

#include "../support/jpeg.h"
#include "support.h"
#include "tandem/vision/decode.h"

namespace thumbnail_test {

using namespace tandem;

namespace {

// The JPEG with EXIF's orientation behind its first marker.
std::vector<std::uint8_t> turned(const std::string& jpeg, char orientation) {
  using namespace std::string_literals;
  const std::string exif =
      "Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0"s + orientation + "\0\0"s;
  const std::string marker = "\xFF\xE1\0"s + static_cast<char>(exif.size() + 2);
  const std::string all = jpeg.substr(0, 2) + marker + exif + jpeg.substr(2);
  return {all.begin(), all.end()};
}

}  // namespace

TEST_CASE("a thumbnail stands upright as EXIF has it") {
  vision::Image image = vision::make_image(16, 8);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) {
    image.rgb[i] = static_cast<std::uint8_t>(i / 3 % 16 * 16);  // from dark on the left to light
  }
  const std::vector<std::uint8_t> bytes = turned(test::jpeg_of(image), 6);
  REQUIRE(vision::orientation(bytes) == 6);
  data::Sample sample;
  sample.id = "a";
  sample.pictures.push_back({bytes, {}});
  const std::string png = eval::thumbnail_png(eval::GivenSource({sample}), 0, 96);
  const vision::Image seen = vision::decode(std::vector<std::uint8_t>(png.begin(), png.end()));
  CHECK(seen.width == 8);
  CHECK(seen.height == 16);
  CHECK(seen == vision::decode_upright(bytes));
  CHECK(seen.row(0)[0] < 40);  // what lay on the left is above
  CHECK(seen.row(15)[0] > 200);
}

}  // namespace thumbnail_test
