#include "tandem/vision/any_resolution.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/vision/frames.h"

using namespace tandem;
using namespace tandem::vision;

namespace {

// A picture whose every number says where it stands, modulo 256.
Image ramp(int width, int height, int start = 0) {
  Image image = make_image(width, height);
  std::iota(image.rgb.begin(), image.rgb.end(), static_cast<std::uint8_t>(start));
  return image;
}

std::uint8_t at(const Image& image, int y, int x, int channel) {
  return image.row(y)[x * 3 + channel];
}

}  // namespace

TEST_CASE("smart_resize: the sides that the two published versions give") {
  const PixelLimits hugging_face{3136, 1003520}, utils{4 * 784, 16384 * 784};
  struct Case {
    Extent picture, hugging_face, utils;
  };
  for (const Case& c :
       {Case{{400, 500}, {392, 504}, {392, 504}}, Case{{1080, 1920}, {728, 1316}, {1092, 1932}},
        Case{{20, 20}, {56, 56}, {56, 56}},
        Case{{70, 70}, {56, 56}, {56, 56}},  // 2.5 cells round to 2
        Case{{42, 70}, {56, 56}, {56, 56}},  // and 1.5 cells
        Case{{10, 1000}, {28, 560}, {28, 1008}}, Case{{224, 224}, {224, 224}, {224, 224}}}) {
    CAPTURE(c.picture.height, c.picture.width);
    CHECK(smart_resize(c.picture, 28, hugging_face, ResizeRule::transformers) == c.hugging_face);
    CHECK(smart_resize(c.picture, 28, utils, ResizeRule::qwen) == c.utils);
  }
}

TEST_CASE("smart_resize: what has no size is bad data") {
  CHECK_THROWS_AS(smart_resize({10, 2010}, 28, {}, ResizeRule::qwen), Error);
  CHECK_THROWS_AS(smart_resize({0, 10}, 28, {}, ResizeRule::qwen), Error);
  CHECK_NOTHROW(smart_resize({10, 2000}, 28, {}, ResizeRule::qwen));
  // Qwen's version does not clamp where a picture is too large.
  CHECK_THROWS_AS(smart_resize({28, 5600}, 28, {784, 3136}, ResizeRule::qwen), Error);
  CHECK(smart_resize({28, 5600}, 28, {784, 3136}, ResizeRule::transformers) == Extent{28, 784});
}

TEST_CASE("patches: a picture of 28 x 224 is 32 patches and 8 tokens") {
  const PatchShape shape;
  const Extent size = smart_resize({28, 224}, shape.factor(), {}, ResizeRule::qwen);
  CHECK(size == Extent{28, 224});
  const Grid grid = grid_of(size, 1, shape);
  CHECK(grid == Grid{1, 2, 16});
  CHECK(grid.patches() == 32);
  CHECK(tokens_of(grid, shape.merge) == 8);
  CHECK(shape.numbers() == 1176);
}

TEST_CASE("patches: cells in rows, a cell's patches together, channel before frame before row") {
  const PatchShape shape{.patch = 2, .merge = 2, .frames = 2};
  const std::vector<Image> frames{ramp(8, 4), ramp(8, 4, 7), ramp(8, 4, 100)};  // 3: the last twice
  const Grid grid = grid_of({4, 8}, 3, shape);
  REQUIRE(grid == Grid{2, 2, 4});
  std::vector<std::uint8_t> out(static_cast<std::size_t>(grid.patches() * shape.numbers()));
  write_patches(frames, shape, out);
  std::size_t next = 0;
  for (int t = 0; t < 2; ++t) {
    for (int cell = 0; cell < 2; ++cell) {
      for (int inner = 0; inner < 4; ++inner) {
        const int y = inner / 2 * 2, x = cell * 4 + inner % 2 * 2;
        for (int channel = 0; channel < 3; ++channel) {
          for (const int frame : {t == 0 ? 0 : 2, t == 0 ? 1 : 2}) {
            for (int i = 0; i < 4; ++i) {
              CHECK(out[next++] ==
                    at(frames[static_cast<std::size_t>(frame)], y + i / 2, x + i % 2, channel));
            }
          }
        }
      }
    }
  }
  CHECK(next == out.size());
}

TEST_CASE("patches: a picture is two equal frames") {
  const PatchShape shape{.patch = 2, .merge = 1, .frames = 2};
  const Image picture = ramp(6, 4);
  const std::vector<Image> twice{picture, picture};
  std::vector<std::uint8_t> a(6 * 24), b(6 * 24);
  write_patches({&picture, 1}, shape, a);
  write_patches(twice, shape, b);
  CHECK(a == b);
}

TEST_CASE("frames of a video: two a second, an even number, at least four") {
  const FrameChoice second = choose_frames(30, 30, {});
  CHECK(second.indices == std::vector<std::int64_t>{0, 10, 19, 29});
  CHECK(second.fps == Approx(4));
  CHECK(second.seconds_per_grid(2) == Approx(0.5));
  const FrameChoice ten = choose_frames(300, 30, {});
  CHECK(ten.indices.size() == 20);
  CHECK(ten.indices.back() == 299);
  CHECK(ten.fps == Approx(2));
  CHECK(choose_frames(100000, 25, {}).indices.size() == 768);
  CHECK(choose_frames(7, 30, {}).indices.size() == 4);
  CHECK(choose_frames(3, 30, {}).indices == std::vector<std::int64_t>{0, 2});
  CHECK(choose_frames(50, 25, {.frames = 5}).indices.size() == 4);  // 2.5 pairs are 2
  CHECK(choose_frames(50, 25, {.frames = 7}).indices.size() == 8);
  const FrameChoice part = choose_frames(100, 10, {.start = 2, .end = 4.05});
  CHECK(part.indices.front() == 20);
  CHECK(part.indices.back() == 40);
}

TEST_CASE("frames of a video: what cannot be sampled is bad data") {
  CHECK_THROWS_AS(choose_frames(1, 30, {}), Error);
  CHECK_THROWS_AS(choose_frames(10, 0, {}), Error);
  CHECK_THROWS_AS(choose_frames(10, 30, {.frames = 12}), Error);
  CHECK_THROWS_AS(choose_frames(100, 10, {.start = 5, .end = 5}), Error);
}

TEST_CASE("frames of a video: their area shrinks with their number") {
  const PatchShape shape;
  CHECK(frame_limits(4, shape).least == 128 * 784);
  CHECK(frame_limits(4, shape).most == 768 * 784);
  CHECK(frame_limits(768, shape).most == Approx(128000 * 784 * 0.9 / 768 * 2));
  CHECK(frame_limits(4000, shape).most == 105369);  // 5 % above the least
}
