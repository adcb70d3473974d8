// Positions and windows: worked examples of the published rules.

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "models/qwen2_vl/layout.h"
#include "tandem/base/error.h"

namespace qwen2_vl_layout_test {

using namespace tandem;
using namespace tandem::models::qwen2_vl;
using Ints = std::vector<std::int64_t>;

namespace {

constexpr std::int64_t image = 55, video = 56;

// "..i.v": words, and the whole places of the next picture or video.
Ints ids_of(const std::string& plan, Visuals visuals, std::int64_t merge = 2) {
  Ints ids;
  for (const char part : plan) {
    if (part == '.') {
      ids.push_back(7);
      continue;
    }
    const bool is_video = part == 'v';
    const Grid grid =
        is_video ? visuals.videos[visuals.next_video++] : visuals.images[visuals.next_image++];
    ids.insert(ids.end(), static_cast<std::size_t>(vision::tokens_of(grid, merge)),
               is_video ? video : image);
  }
  return ids;
}

PositionRule rule(std::int64_t per_second = 0, AfterVideo after = AfterVideo::qwen) {
  return {.merge = 2,
          .image_id = image,
          .video_id = video,
          .tokens_per_second = per_second,
          .after_video = after};
}

Positions positions(const std::string& plan, Visuals visuals, const PositionRule& how) {
  const Ints ids = ids_of(plan, visuals);
  return token_positions(ids, visuals, how);
}

Ints range(std::int64_t size) {
  Ints all(static_cast<std::size_t>(size));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

TEST_CASE("Qwen2-VL: a picture's tokens share one time; the text goes on behind its longer side") {
  const Positions p = positions("...i..", {.images = {{1, 4, 6}}}, rule());
  CHECK(p.axes[0] == Ints{0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7});
  CHECK(p.axes[1] == Ints{0, 1, 2, 3, 3, 3, 4, 4, 4, 6, 7});
  CHECK(p.axes[2] == Ints{0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7});
  CHECK(p.next == 8);
}

TEST_CASE("Qwen2-VL: text alone counts up, on all axes") {
  const Positions p = positions(".....", {}, rule());
  for (const Ints& axis : p.axes) CHECK(axis == range(5));
}

TEST_CASE("Qwen2-VL: behind a long video the text goes on where it ended; transformers 5 differs") {
  const Visuals clip{.videos = {{8, 4, 6}}};
  CHECK(positions("...v.", clip, rule()).axes[0].back() == 11);
  CHECK(positions("...v.", clip, rule(0, AfterVideo::transformers5)).axes[0].back() == 6);
  // A short one is no longer than its frames are wide: both agree.
  const Visuals brief{.videos = {{3, 4, 6}}};
  CHECK(positions("...v.", brief, rule()).axes[0].back() == 6);
  CHECK(positions("...v.", brief, rule(0, AfterVideo::transformers5)).axes[0].back() == 6);
}

TEST_CASE("Qwen2.5-VL: time in a video is absolute, cut to whole positions after multiplying") {
  const Visuals clip{.videos = {{3, 4, 4}}, .seconds = {1.0}};
  const Positions p = positions("...v.", clip, rule(2));
  CHECK(p.axes[0] == Ints{0, 1, 2, 3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7, 8});
  CHECK(p.axes[1] == Ints{0, 1, 2, 3, 3, 4, 4, 3, 3, 4, 4, 3, 3, 4, 4, 8});
  CHECK(p.axes[2] == Ints{0, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 8});
  // 0.7 s a slice, 2 positions a second: 0, 1.4, 2.8, 4.2.
  const Visuals fast{.videos = {{4, 2, 2}}, .seconds = {0.7}};
  CHECK(positions("v.", fast, rule(2)).axes[0] == Ints{0, 1, 2, 4, 5});
  CHECK(positions("v.", fast, rule(2, AfterVideo::transformers5)).axes[0] == Ints{0, 0, 0, 0, 1});
  // Without seconds a slice takes one.
  CHECK(positions("v", {.videos = {{2, 2, 2}}}, rule(2)).axes[0] == Ints{0, 2});
}

TEST_CASE("Qwen2-VL: pictures and videos are taken in order, sample by sample") {
  Visuals visuals{.images = {{1, 2, 2}, {1, 2, 4}}, .videos = {{2, 2, 2}}};
  const Ints first = ids_of("i.", visuals);
  token_positions(first, visuals, rule());
  CHECK(visuals.next_image == 1);
  const Ints second = ids_of(".vi", visuals);
  const Positions p = token_positions(second, visuals, rule());
  CHECK(p.axes[0] == Ints{0, 1, 2, 3, 3});
  CHECK(p.axes[2] == Ints{0, 1, 1, 3, 4});
}

TEST_CASE("Qwen2-VL: places that no grid explains are bad data") {
  Visuals none, one{.images = {{1, 4, 4}}};
  CHECK_THROWS_AS(token_positions(Ints{1, image}, none, rule()), Error);
  CHECK_THROWS_AS(token_positions(Ints{image, image, image}, one, rule()), Error);
  Visuals again{.images = {{1, 4, 4}}};
  CHECK_THROWS_AS(token_positions(Ints{image, image, 3, image, image}, again, rule()), Error);
}

TEST_CASE("Qwen2.5-VL: windows of 4 x 4 cells over 5 x 6 cells") {
  const std::vector<Grid> grids{{1, 10, 12}};
  const Windows w = windows(grids, 2, 4);
  CHECK(w.order == Ints{0,  1, 2, 3,  6,  7,  8,  9,  12, 13, 14, 15, 18, 19, 20,
                        21, 4, 5, 10, 11, 16, 17, 22, 23, 24, 25, 26, 27, 28, 29});
  CHECK(w.ends == Ints{0, 64, 96, 112, 120});
}

TEST_CASE("Qwen2.5-VL: windows never cross slices of time or pictures") {
  const std::vector<Grid> grids{{2, 4, 4}, {1, 8, 8}};
  const Windows w = windows(grids, 2, 4);
  CHECK(w.ends == Ints{0, 16, 32, 96});
  CHECK(w.order == range(2 * 4 + 16));
  const std::vector<Grid> odd{{2, 2, 6}, {1, 4, 2}};
  Ints sorted = windows(odd, 2, 2).order;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == range(8));
}

TEST_CASE("Qwen2-VL: patches of a cell stand together, and slices are apart") {
  const std::vector<Grid> grids{{2, 2, 4}};
  const PatchPositions p = patch_positions(grids, 2);
  CHECK(p.row == Ints{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
  CHECK(p.column == Ints{0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3});
  CHECK(slice_ends(grids) == Ints{0, 8, 16});
}

}  // namespace qwen2_vl_layout_test
