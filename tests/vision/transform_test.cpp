#include "tandem/vision/transform.h"

#include <array>
#include <cmath>

#include "../support/jpeg.h"
#include "support.h"
#include "tandem/vision/decode.h"

using namespace tandem;
using namespace tandem::vision;
using namespace tandem::test;

namespace {

ImageSettings settings_of(std::int64_t size, const std::string& interpolation = "bicubic") {
  ImageSettings settings;
  settings.size = size;
  settings.interpolation = interpolation;
  return settings;
}

}  // namespace

TEST_CASE("the evaluation view is what the Hugging Face CLIP processor gives") {
  for (const std::string name : {"wide", "tall", "square", "up", "exact", "odd"}) {
    for (const std::string filter : {"bicubic", "bilinear"}) {
      INFO(name << " " << filter);
      const Image view = evaluation_view(read_ppm("view_" + name + "_in"), settings_of(16, filter));
      // 2 of 255 are asked for; the bytes are the same.
      CHECK(largest_difference(view, read_ppm("view_" + name + "_" + filter)) == 0);
    }
  }
}

TEST_CASE("the evaluation view of a thin panorama takes no more memory than its crop") {
  Image thin = make_image(60'000, 1);
  for (std::size_t i = 0; i < thin.rgb.size(); ++i)
    thin.rgb[i] = static_cast<std::uint8_t>(i / 3 % 251);
  const Image view = evaluation_view(thin, settings_of(224));
  CHECK(view.width == 224);
  CHECK(view.height == 224);
}

TEST_CASE("the training view is a pure function of its key") {
  const Image image = read_ppm("source");
  AugmentSettings augment;
  augment.min_scale = 0.2;
  augment.flip = 0.5;
  int different = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const Key key = Key(1).fold(i);
    const Image view = training_view(image, settings_of(16), augment, key);
    CHECK(view.width == 16);
    CHECK(view.height == 16);
    CHECK(view == training_view(image, settings_of(16), augment, key));
    different += view != training_view(image, settings_of(16), augment, Key(2).fold(i));
  }
  CHECK(different == 20);
}

TEST_CASE("the training view is the crop that is drawn, resized, and flipped as often as asked") {
  const Image image = read_ppm("source");
  AugmentSettings augment;
  augment.flip = 0.3;
  int flipped = 0, plain = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    const Key key = Key(5).fold(i);
    Random random(key.fold("crop"));
    const Rectangle part = random_crop(image.width, image.height, augment, random);
    Image expected = resized_crop(image, part, 12, 12, Filter::bicubic);
    const Image view = training_view(image, settings_of(12), augment, key);
    plain += view == expected;
    flip_horizontal(expected);
    flipped += view == expected;
  }
  CHECK(plain + flipped == 400);
  CHECK(flipped > 85);
  CHECK(flipped < 155);
}

TEST_CASE("a view without any cropping is the picture resized") {
  const Image image = read_ppm("view_square_in");
  AugmentSettings augment;
  augment.min_scale = augment.max_scale = 1;
  augment.min_ratio = augment.max_ratio = 1;
  CHECK(training_view(image, settings_of(16), augment, Key(1)) ==
        resize(image, 16, 16, Filter::bicubic));
  CHECK(evaluation_view(image, settings_of(16)) == resize(image, 16, 16, Filter::bicubic));
}

TEST_CASE("random crops keep to area and ratio and reach every corner") {
  AugmentSettings augment;
  augment.min_scale = 0.08;
  augment.max_scale = 0.45;  // so that every draw fits
  Random random{Key(3)};
  double smallest = 1, largest = 0, area = 0, log_ratio = 0;
  bool left = false, right = false, top = false, bottom = false;
  constexpr int n = 4000, width = 300, height = 200;
  for (int i = 0; i < n; ++i) {
    const Rectangle part = random_crop(width, height, augment, random);
    REQUIRE(part.x >= 0);
    REQUIRE(part.y >= 0);
    REQUIRE(part.x + part.width <= width);
    REQUIRE(part.y + part.height <= height);
    const double share = static_cast<double>(part.width) * part.height / (width * height);
    const double ratio = static_cast<double>(part.width) / part.height;
    REQUIRE(ratio > 3.0 / 4 - 0.03);
    REQUIRE(ratio < 4.0 / 3 + 0.03);
    smallest = std::min(smallest, share);
    largest = std::max(largest, share);
    area += share / n;
    log_ratio += std::log(ratio) / n;
    left = left || part.x == 0;
    top = top || part.y == 0;
    right = right || part.x + part.width == width;
    bottom = bottom || part.y + part.height == height;
  }
  CHECK(smallest > 0.075);
  CHECK(smallest < 0.1);
  CHECK(largest < 0.455);
  CHECK(largest > 0.43);
  CHECK(area == Approx(0.265).margin(0.01));
  CHECK(log_ratio == Approx(0).margin(0.01));
  CHECK((left && right && top && bottom));
}

TEST_CASE("where no crop fits, the largest centred part within the ratios is taken") {
  AugmentSettings augment;  // 0.9 of the area at most 4 : 3
  Random random{Key(3)};
  const Rectangle wide = random_crop(1000, 100, augment, random);
  CHECK(wide.height == 100);
  CHECK(wide.width == 133);
  CHECK(wide.x == 433);
  CHECK(wide.y == 0);
  const Rectangle tall = random_crop(30, 300, augment, random);
  CHECK(tall.width == 30);
  CHECK(tall.height == 40);
  CHECK(tall.y == 130);
  const Rectangle dot = random_crop(1, 1, augment, random);
  CHECK(dot.width == 1);
  CHECK(dot.height == 1);
}

TEST_CASE("channels come first for the model") {
  Image image = make_image(2, 1);
  image.rgb = {1, 2, 3, 4, 5, 6};
  std::array<std::uint8_t, 6> out{};
  write_chw(image, out);
  CHECK(out == std::array<std::uint8_t, 6>{1, 4, 2, 5, 3, 6});
  std::array<std::uint8_t, 5> small{};
  CHECK(error_of([&] { write_chw(image, small); }).kind() == ErrorKind::internal);
}

TEST_CASE("an empty picture has no view") {
  CHECK(error_of([] { evaluation_view({}, settings_of(8)); }).kind() == ErrorKind::internal);
  CHECK(error_of([] { training_view({}, settings_of(8), {}, Key(1)); }).kind() ==
        ErrorKind::internal);
}

TEST_CASE("decode: scaled gives the same crop from fewer pixels") {
  Image image = make_image(512, 384);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      std::uint8_t* pixel = image.row(y) + std::ptrdiff_t{3} * x;
      pixel[0] = static_cast<std::uint8_t>(x / 2);
      pixel[1] = static_cast<std::uint8_t>(y / 2);
      pixel[2] = static_cast<std::uint8_t>((x + y) / 4);
    }
  }
  const std::string bytes = jpeg_of(image, 95);
  const std::vector<std::uint8_t> jpeg(bytes.begin(), bytes.end());
  ImageSettings full = settings_of(120), scaled = full;
  scaled.decode = "scaled";
  AugmentSettings augment;
  augment.min_scale = 0.05;  // small crops are not reduced, large ones are
  augment.flip = 0.5;
  int reduced = 0;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const Key key = Key(7).fold(i);
    const Image whole = training_view(jpeg, "a.jpg", full, augment, key);
    const Image fewer = training_view(jpeg, "a.jpg", scaled, augment, key);
    CHECK(largest_difference(whole, fewer) <= 6);  // another crop differs by far more
    CHECK(whole == training_view(decode(jpeg), full, augment, key));
    reduced += whole == fewer ? 0 : 1;
  }
  CHECK(reduced > 10);
  CHECK(reduced < 40);
  const Image half = decode_reduced(jpeg, 8);
  CHECK(half.width == 64);
  CHECK(half.height == 48);
}
