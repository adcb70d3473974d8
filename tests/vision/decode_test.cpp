#include "tandem/vision/decode.h"

#include <spng.h>

#include <atomic>
#include <cstring>
#include <new>
#include <set>

#include "support.h"

using namespace tandem;
using namespace tandem::vision;
using namespace tandem::test;

namespace {

using Bytes = std::vector<std::uint8_t>;

// The largest single piece of memory that C++ code asked for.
std::atomic<std::size_t> largest_piece{0};

std::vector<std::string> fixtures_with(const std::string& extension) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures())) {
    if (entry.path().extension() == extension) names.insert(entry.path().filename().string());
  }
  return {names.begin(), names.end()};
}

std::string stem(const std::string& name) { return name.substr(0, name.rfind('.')); }

Bytes fixture(const std::string& name) { return bytes_of(fixtures() / name); }

// True when decoding throws Error(data); any other exception fails the test.
bool is_refused(const Bytes& bytes, const DecodeLimits& limits = {}) {
  try {
    decode(bytes, "x", limits);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.where() == "x");
    return true;
  }
  return false;
}

void put32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    bytes[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

std::uint32_t crc32_of(const std::uint8_t* bytes, std::size_t count) {
  std::uint32_t crc = ~0u;
  for (std::size_t i = 0; i < count; ++i) {
    crc ^= bytes[i];
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

Bytes with_png_size(Bytes png, std::uint32_t width, std::uint32_t height) {
  put32(png, 16, width);
  put32(png, 20, height);
  put32(png, 29, crc32_of(&png[12], 17));
  return png;
}

Bytes with_jpeg_size(Bytes jpeg, int width, int height) {
  for (std::size_t i = 2; i + 9 < jpeg.size();) {
    const std::size_t length = static_cast<std::size_t>(jpeg[i + 2]) << 8 | jpeg[i + 3];
    if (jpeg[i + 1] == 0xC0 || jpeg[i + 1] == 0xC2) {
      jpeg[i + 5] = static_cast<std::uint8_t>(height >> 8);
      jpeg[i + 6] = static_cast<std::uint8_t>(height);
      jpeg[i + 7] = static_cast<std::uint8_t>(width >> 8);
      jpeg[i + 8] = static_cast<std::uint8_t>(width);
      return jpeg;
    }
    i += 2 + length;
  }
  FAIL("no frame in the JPEG");
  return jpeg;
}

}  // namespace

// gcc 12 does not see that these belong together.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) {
  std::size_t before = largest_piece;
  while (size > before && !largest_piece.compare_exchange_weak(before, size)) {
  }
  if (void* piece = std::malloc(size)) return piece;
  throw std::bad_alloc();
}
void operator delete(void* piece) noexcept { std::free(piece); }
void operator delete(void* piece, std::size_t) noexcept { std::free(piece); }

TEST_CASE("PNG of every kind decodes to Pillow's pixels") {
  const auto expected = expected_summaries();
  const auto names = fixtures_with(".png");
  CHECK(names.size() >= 22);
  for (const std::string& name : names) {
    INFO(name);
    CHECK(summary(decode(fixture(name), name)) == expected.at(stem(name)));
  }
}

TEST_CASE("JPEG of every kind decodes to Pillow's pixels") {
  // Recorded with libjpeg-turbo 3.2 and equal to the bit with 2.1; another library may round its
  // transform by one.
  const auto names = fixtures_with(".jpg");
  CHECK(names.size() >= 9);
  for (const std::string& name : names) {
    INFO(name);
    CHECK(largest_difference(decode(fixture(name), name), read_ppm(stem(name))) <= 1);
  }
}

TEST_CASE("a picture's size is known from its header") {
  for (const std::string extension : {".jpg", ".png"}) {
    for (const std::string& name : fixtures_with(extension)) {
      const Bytes bytes = fixture(name);
      const Image image = decode(bytes);
      const PictureSize size = picture_size(bytes);
      CHECK(size.width == image.width);
      CHECK(size.height == image.height);
    }
  }
}

TEST_CASE("what is no picture that we know is refused with its first bytes") {
  CHECK(sniff(fixture("jpeg_420.jpg")) == Encoding::jpeg);
  CHECK(sniff(fixture("png_rgb8.png")) == Encoding::png);
  const Bytes gif{'G', 'I', 'F', '8', '9', 'a', 0, 0, 0, 0};
  CHECK(sniff(gif) == Encoding::unknown);
  for (const Bytes& bytes : {gif, Bytes{}, Bytes{0xFF, 0xD8}, Bytes{0x89, 'P', 'N', 'G'}}) {
    CHECK(is_refused(bytes));
    CHECK(error_of([&] { picture_size(bytes, "x"); }).kind() == ErrorKind::data);
  }
  CHECK(contains(error_of([&] { decode(gif); }).message(), "47 49 46 38"));
  CHECK(contains(error_of([&] { decode({}); }).message(), "nothing"));
}

TEST_CASE("a truncated picture is refused wherever it was cut") {
  for (const std::string name :
       {"png_rgb8.png", "png_palette4.png", "png_interlaced.png", "png_gray16.png", "jpeg_420.jpg",
        "jpeg_progressive.jpg", "jpeg_gray.jpg", "jpeg_cmyk.jpg", "jpeg_restart.jpg"}) {
    const Bytes whole = fixture(name);
    int passed = 0;
    // The checksum of a PNG's empty last chunk guards nothing and is not read.
    const std::size_t end = whole.size() - (contains(name, ".png") ? 4 : 0);
    for (std::size_t size = 0; size < end; ++size) {
      passed += !is_refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    }
    INFO(name);
    CHECK(passed == 0);
  }
}

TEST_CASE("a flipped bit of a PNG is always found") {
  for (const std::string name : {"png_rgb8.png", "png_palette_alpha.png", "png_gamma.png"}) {
    const Bytes whole = fixture(name);
    int passed = 0;
    for (std::size_t bit = 0; bit < (whole.size() - 4) * 8; bit += 3) {
      Bytes flipped = whole;
      flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1 << bit % 8);
      passed += !is_refused(flipped);
    }
    INFO(name);
    CHECK(passed == 0);
  }
}

TEST_CASE("a flipped bit of a JPEG is refused or gives a picture, never anything else") {
  for (const std::string name :
       {"jpeg_420.jpg", "jpeg_progressive.jpg", "jpeg_cmyk.jpg", "jpeg_restart.jpg"}) {
    const Bytes whole = fixture(name);
    int refused = 0;
    for (std::size_t bit = 0; bit < whole.size() * 8; bit += 5) {
      Bytes flipped = whole;
      flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1 << bit % 8);
      refused += is_refused(flipped, {.max_pixels = 1 << 20});
    }
    INFO(name);
    CHECK(refused > 50);
  }
}

TEST_CASE("pictures over the limits are refused from their headers, before memory is taken") {
  const Bytes png = with_png_size(fixture("png_rgb8.png"), 60'000, 60'000);
  const Bytes jpeg = with_jpeg_size(fixture("jpeg_420.jpg"), 60'000, 60'000);
  const Bytes progressive = with_jpeg_size(fixture("jpeg_progressive.jpg"), 65'000, 65'000);
  largest_piece = 0;
  for (const Bytes* bomb : {&png, &jpeg, &progressive}) {
    const Error error = error_of([&] { decode(*bomb, "bomb"); });
    CHECK(error.kind() == ErrorKind::data);
    CHECK(contains(error.message(), "0000"));
    CHECK(error_of([&] { picture_size(*bomb); }).kind() == ErrorKind::data);
  }
  CHECK(largest_piece < 1 << 20);
  CHECK(is_refused(fixture("jpeg_420.jpg"), {.max_pixels = 29 * 21 - 1}));
  CHECK_FALSE(is_refused(fixture("jpeg_420.jpg"), {.max_pixels = 29 * 21}));
  CHECK(is_refused(fixture("png_rgb8.png"), {.max_side = 18}));
  CHECK_FALSE(is_refused(fixture("png_rgb8.png"), {.max_side = 19}));
  CHECK(is_refused(with_png_size(fixture("png_rgb8.png"), 0, 5)));
  CHECK(is_refused(with_png_size(fixture("png_rgb8.png"), 0x80000005, 5)));
}

TEST_CASE("a progressive JPEG of too many scans is refused") {
  const Bytes bytes = fixture("jpeg_progressive.jpg");
  CHECK_FALSE(is_refused(bytes, {.max_scans = 20}));
  const Error error = error_of([&] { decode(bytes, "x", {.max_scans = 3}); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.message(), "scans"));
}

TEST_CASE("a PNG whose text unpacks to far more than it weighs is refused") {
  spng_ctx* png = spng_ctx_new(SPNG_CTX_ENCODER);
  spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{};
  header.width = header.height = 2;
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
  spng_set_ihdr(png, &header);
  std::string zeros(40 << 20, 'a');
  spng_text text{};
  std::strcpy(text.keyword, "Comment");
  text.type = SPNG_ZTXT;
  text.text = zeros.data();
  text.length = zeros.size();
  REQUIRE(spng_set_text(png, &text, 1) == 0);
  const std::uint8_t pixels[12]{};
  REQUIRE(spng_encode_image(png, pixels, sizeof pixels, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE) == 0);
  std::size_t size = 0;
  int code = 0;
  auto* encoded = static_cast<std::uint8_t*>(spng_get_png_buffer(png, &size, &code));
  REQUIRE(encoded != nullptr);
  const Bytes bomb(encoded, encoded + size);
  std::free(encoded);
  spng_ctx_free(png);
  CHECK(bomb.size() < 1 << 20);
  CHECK(is_refused(bomb));
}
