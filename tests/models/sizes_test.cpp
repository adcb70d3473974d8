// Sizes and numbers of frames against the published functions, which tests/reference/sizes.py ran.

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>

#include "tandem/base/error.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/vision/any_resolution.h"
#include "tandem/vision/frames.h"

namespace sizes_test {

using namespace tandem;
using vision::Extent;
using vision::ResizeRule;

namespace {

constexpr std::int64_t kRows = 10000, kColumns = 10;
constexpr Extent kRefused{-1, -1};

struct Recorded {
  at::Tensor limits{}, rows{};

  Recorded() {
    const TensorFile file = load_safetensors(std::filesystem::path(TANDEM_SOURCE_DIR) /
                                             "tests/reference/sizes.safetensors");
    limits = file.tensors.at("limits");
    rows = file.tensors.at("rows");
  }
  const std::int32_t* row(std::int64_t i) const {
    return rows.const_data_ptr<std::int32_t>() + i * kColumns;
  }
  vision::PixelLimits limits_of(std::int64_t i) const {
    const std::int32_t* pair = limits.const_data_ptr<std::int32_t>() + i % limits.size(0) * 2;
    return {static_cast<double>(pair[0]), static_cast<double>(pair[1])};
  }
};

Extent resized_or_refused(const Extent& picture, const vision::PixelLimits& limits,
                          ResizeRule rule) {
  try {
    return vision::smart_resize(picture, 28, limits, rule);
  } catch (const Error&) {
    return kRefused;
  }
}

// How many frames of `total` are seen; -1: refused.
std::int64_t frames_seen(std::int64_t total, double fps, double wanted) {
  vision::FrameRule rule;
  rule.fps = wanted;
  vision::FrameChoice choice;
  try {
    choice = vision::choose_frames(total, fps, rule);
  } catch (const Error&) {
    return -1;
  }
  if (choice.indices.front() != 0 || choice.indices.back() != total - 1) return -2;
  return static_cast<std::int64_t>(choice.indices.size());
}

}  // namespace

TEST_CASE("smart_resize and the number of frames are the originals' on 10,000 random sizes") {
  const Recorded recorded;
  REQUIRE(recorded.rows.sizes() == at::IntArrayRef({kRows, kColumns}));
  std::int64_t refused = 0, differ = 0;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const std::int32_t* row = recorded.row(i);
    const Extent picture{row[0], row[1]}, theirs{row[2], row[3]}, utils{row[4], row[5]};
    const vision::PixelLimits limits = recorded.limits_of(i);
    CAPTURE(i, picture.height, picture.width, limits.least, limits.most);
    REQUIRE(resized_or_refused(picture, limits, ResizeRule::transformers) == theirs);
    REQUIRE(resized_or_refused(picture, limits, ResizeRule::qwen) == utils);
    CAPTURE(row[6], row[7], row[8]);
    REQUIRE(frames_seen(row[6], row[7] / 1000.0, row[8] / 1000.0) == row[9]);
    refused += theirs == kRefused ? 1 : 0;
    differ += theirs == utils ? 0 : 1;
  }
  CHECK(refused > 20);  // the rows hold what is refused, and what the two rules tell apart
  CHECK(differ > 20);
}

}  // namespace sizes_test
