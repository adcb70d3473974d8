#include "tandem/vision/resize.h"

#include "support.h"
#include "tandem/base/random.h"
#include "vision/weigh.h"

using namespace tandem;
using namespace tandem::vision;
using namespace tandem::test;

namespace {

Filter filter_named(const std::string& name) {
  return contains(name, "bicubic") ? Filter::bicubic : Filter::bilinear;
}

bool is_internal(const std::function<void()>& act) {
  return error_of(act).kind() == ErrorKind::internal;
}

}  // namespace

TEST_CASE("resizing gives Pillow's bytes, up and down, in both filters, of windows too") {
  const Image source = read_ppm("source");
  constexpr Window windows[]{{3, 4, 33, 27}, {0.5, 1.25, 40.5, 29.75}, {10, 10, 11, 11}};
  int compared = 0;
  for (const auto& [name, summary_of] : expected_summaries()) {
    if (!name.starts_with("resize_")) continue;
    INFO(name);
    const std::string size = name.substr(name.find('_', 7) + 1);  // 17x12 or 20x18_1
    const int width = std::stoi(size), height = std::stoi(size.substr(size.find('x') + 1));
    std::optional<Window> window;
    if (const std::size_t mark = size.find('_'); mark != std::string::npos) {
      window = windows[std::stoi(size.substr(mark + 1))];
    }
    CHECK(summary(resize(source, width, height, filter_named(name), window)) == summary_of);
    ++compared;
  }
  CHECK(compared == 20);
}

TEST_CASE("resizing to the same size changes nothing") {
  const Image source = read_ppm("source");
  CHECK(resize(source, source.width, source.height, Filter::bicubic) == source);
}

TEST_CASE("a part of a resized picture is that part of the whole one") {
  const Image source = read_ppm("source");
  for (const Filter filter : {Filter::bilinear, Filter::bicubic}) {
    for (const auto& [width, height] :
         {std::pair{23, 17}, {90, 61}, {41, 30}, {41, 12}, {17, 30}}) {
      const Image whole = resize(source, width, height, filter);
      for (const Rectangle& part : {Rectangle{0, 0, width, height},
                                    {3, 2, 11, 9},
                                    {width - 5, 0, 5, 7},
                                    {0, height - 1, width, 1}}) {
        CHECK(resize_part(source, width, height, part, filter) == crop(whole, part));
      }
    }
  }
}

TEST_CASE("a resized crop sees only the pixels of its rectangle") {
  Image source = read_ppm("source");
  const Rectangle part{7, 5, 20, 16};
  for (const Filter filter : {Filter::bilinear, Filter::bicubic}) {
    const Image expected = resize(crop(source, part), 13, 31, filter);
    CHECK(resized_crop(source, part, 13, 31, filter) == expected);
  }
  const Image before = resized_crop(source, part, 9, 9, Filter::bicubic);
  for (int y = 0; y < source.height; ++y) {
    for (int x = 0; x < source.width; ++x) {
      const bool inside = x >= 7 && x < 27 && y >= 5 && y < 21;
      if (!inside) source.row(y)[3 * x] = 255;
    }
  }
  CHECK(resized_crop(source, part, 9, 9, Filter::bicubic) == before);
}

TEST_CASE("a crop is black where it leaves the picture") {
  Image image = make_image(2, 2);
  image.rgb.assign(12, 9);
  const Image out = crop(image, {-1, -1, 4, 3});
  CHECK(out.width == 4);
  CHECK(out.height == 3);
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 4; ++x) {
      const bool inside = x >= 1 && x <= 2 && y >= 1;
      CHECK(out.row(y)[3 * x + 1] == (inside ? 9 : 0));
    }
  }
  CHECK(crop(image, {5, 5, 2, 2}).rgb == std::vector<std::uint8_t>(12, 0));
  CHECK(crop(image, {-9, 0, 2, 2}).rgb == std::vector<std::uint8_t>(12, 0));
}

TEST_CASE("flipping swaps left and right, and twice is the picture") {
  const Image source = read_ppm("source");
  Image flipped = source;
  flip_horizontal(flipped);
  CHECK(flipped != source);
  for (int c = 0; c < 3; ++c) CHECK(flipped.row(4)[c] == source.row(4)[3 * 40 + c]);
  for (int c = 0; c < 3; ++c) CHECK(flipped.row(4)[3 * 20 + c] == source.row(4)[3 * 20 + c]);
  flip_horizontal(flipped);
  CHECK(flipped == source);
}

TEST_CASE("sizes and windows that cannot be are errors of ours") {
  const Image image = make_image(8, 6);
  CHECK(is_internal([&] { resize(image, 0, 5, Filter::bicubic); }));
  CHECK(is_internal([&] { resize(image, 5, 1 << 17, Filter::bicubic); }));
  CHECK(is_internal([&] { resize(image, 5, 5, Filter::bicubic, Window{0, 0, 9, 6}); }));
  CHECK(is_internal([&] { resize(image, 5, 5, Filter::bicubic, Window{4, 0, 4, 6}); }));
  CHECK(is_internal([&] { resized_crop(image, {1, 1, 8, 2}, 5, 5, Filter::bicubic); }));
  CHECK(is_internal([&] { resized_crop(image, {1, 1, 0, 2}, 5, 5, Filter::bicubic); }));
  CHECK(is_internal([&] { resize_part(image, 5, 5, {1, 1, 5, 2}, Filter::bicubic); }));
  CHECK(is_internal([&] { crop(image, {0, 0, 0, 1}); }));
}

TEST_CASE("resampling's sum is the same with and without the processor's vectors") {
  Random random(Key(5));
  std::vector<std::uint8_t> bytes(600);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  for (const int taps : {1, 2, 7, 20}) {
    std::vector<int> weights(static_cast<std::size_t>(taps));
    for (int& weight : weights) {
      weight = static_cast<int>(random.between(-(1 << 21), (1 << 23) / taps));  // past both ends
    }
    for (const std::size_t count : {1u, 8u, 24u, 29u}) {
      std::vector<std::uint8_t> plain(count), best(count);
      weigh_plain(bytes.data(), 29, weights.data(), taps, plain.data(), count);
      best_weigh()(bytes.data(), 29, weights.data(), taps, best.data(), count);
      CHECK(plain == best);
    }
  }
}
