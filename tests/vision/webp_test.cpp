#include <sstream>

#include "support.h"
#include "tandem/vision/decode.h"
#include "tandem/vision/transform.h"

using namespace tandem;
using namespace tandem::vision;
using namespace tandem::test;

namespace {

using Bytes = std::vector<std::uint8_t>;

// Lines of more/more.txt: NAME -> size and hash.
std::map<std::string, std::string> expected() {
  std::ifstream file(fixtures() / "more/more.txt");
  std::map<std::string, std::string> all;
  std::string name, rest;
  while (file >> name && std::getline(file, rest)) all[name] = rest.substr(1);
  return all;
}

Bytes fixture(const std::string& name) { return bytes_of(fixtures() / "more" / name); }

bool is_refused(const Bytes& bytes, const DecodeLimits& limits = {}) {
  try {
    decode_upright(bytes, "x", limits);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("WebP of every kind decodes to Pillow's pixels") {
  const auto pixels = expected();
  int count = 0;
  for (const auto& [name, value] : pixels) {
    if (!name.starts_with("webp_")) continue;
    INFO(name);
    const Bytes bytes = fixture(name + ".webp");
    CHECK(sniff(bytes) == Encoding::webp);
    CHECK(summary(decode(bytes)) == value);
    const PictureSize size = picture_size(bytes);
    std::ostringstream text;
    text << size.width << " " << size.height << " ";
    CHECK(value.starts_with(text.str()));
    ++count;
  }
  CHECK(count == 6);
}

TEST_CASE("EXIF's orientations turn a picture as Pillow's exif_transpose does") {
  const auto pixels = expected();
  for (int i = 1; i <= 8; ++i) {
    const std::string name = "turned_" + std::to_string(i);
    INFO(name);
    const Bytes bytes = fixture(name + ".png");
    CHECK(orientation(bytes) == i);
    CHECK(summary(decode_upright(bytes)) == pixels.at(name));
  }
  CHECK(orientation(fixture("turned_webp.webp")) == 8);
  CHECK(summary(decode_upright(fixture("turned_webp.webp"))) == pixels.at("turned_webp"));
}

TEST_CASE("a JPEG whose EXIF is big-endian stands upright unless the settings say otherwise") {
  const Bytes bytes = fixture("turned_jpeg.jpg");
  REQUIRE(orientation(bytes) == 6);
  ImageSettings settings;
  const Image turned = decode(bytes, "x", settings);
  REQUIRE(turned.width == 16);
  REQUIRE(turned.height == 32);
  CHECK(turned.row(4)[0] > 200);   // red was left and is above
  CHECK(turned.row(28)[1] > 200);  // green was right and is below
  settings.orientation = "stored";
  CHECK(decode(bytes, "x", settings).width == 32);
  CHECK(orientation(bytes_of(fixtures() / "jpeg_420.jpg")) == 1);
  CHECK(orientation(bytes_of(fixtures() / "jpeg_turned.jpg")) == 6);
}

TEST_CASE("EXIF that does not parse asks for nothing and reads nothing outside") {
  for (const std::string name : {"turned_6.png", "turned_webp.webp", "turned_jpeg.jpg"}) {
    const Bytes whole = fixture(name);
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const int value = orientation({whole.data(), size});
      CHECK((value == 1 || value == orientation(whole)));
    }
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      Bytes flipped = whole;
      flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1 << bit % 8);
      const int value = orientation(flipped);
      REQUIRE(value >= 1);
      REQUIRE(value <= 8);
    }
  }
}

TEST_CASE("a WebP that was cut, or over the limits, is refused") {
  for (const std::string name :
       {"webp_lossy.webp", "webp_lossless.webp", "webp_alpha.webp", "webp_animated.webp"}) {
    const Bytes whole = fixture(name);
    int passed = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      passed += !is_refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    }
    INFO(name);
    CHECK(passed == 0);
    CHECK(is_refused(whole, {.max_pixels = 100}));
    int refused = 0;
    for (std::size_t bit = 0; bit < whole.size() * 8; bit += 7) {
      Bytes flipped = whole;
      flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1 << bit % 8);
      refused += is_refused(flipped, {.max_pixels = 1 << 20});
    }
    CHECK(refused > 10);
  }
}
