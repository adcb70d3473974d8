#include "tandem/vision/block_masking.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <set>

using namespace tandem;
using namespace tandem::vision;

namespace {

std::int64_t count(const std::vector<std::uint8_t>& mask) {
  return std::accumulate(mask.begin(), mask.end(), std::int64_t{0});
}

}  // namespace

TEST_CASE("block masking hides at most its share, and about that much") {
  const BlockMaskingRule rule;
  CHECK(rule.most(196) == 75);
  std::int64_t sum = 0;
  std::set<std::vector<std::uint8_t>> different;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto mask = mask_blocks(14, 14, rule, Key(i));
    REQUIRE(mask.size() == 196);
    CHECK(count(mask) <= 75);
    sum += count(mask);
    different.insert(mask);
    CHECK(mask == mask_blocks(14, 14, rule, Key(i)));
  }
  CHECK(different.size() == 200);
  CHECK(sum > 200 * 60);
}

TEST_CASE("what block masking hides is a union of rectangles of some size") {
  BlockMaskingRule rule;
  rule.share = 16.0 / 196;  // one rectangle
  for (std::uint64_t i = 0; i < 50; ++i) {
    const auto mask = mask_blocks(14, 14, rule, Key(i));
    std::int64_t top = 14, bottom = -1, left = 14, right = -1;
    for (std::int64_t y = 0; y < 14; ++y) {
      for (std::int64_t x = 0; x < 14; ++x) {
        if (mask[static_cast<std::size_t>(y * 14 + x)] == 0) continue;
        top = std::min(top, y), bottom = std::max(bottom, y);
        left = std::min(left, x), right = std::max(right, x);
      }
    }
    // One rectangle of about 16 patches fits; a second one rarely does.
    CHECK(count(mask) >= 1);
    CHECK(count(mask) <= 16);
    CHECK(bottom - top < 13);
    CHECK(right - left < 13);
  }
}

TEST_CASE("a grid that is too small for a rectangle still has a hidden patch") {
  const BlockMaskingRule rule;  // rectangles of at least 16 patches
  for (std::uint64_t i = 0; i < 20; ++i) CHECK(count(mask_blocks(1, 1, rule, Key(i))) == 1);
  for (std::uint64_t i = 0; i < 20; ++i) {
    const std::int64_t hidden = count(mask_blocks(3, 3, rule, Key(i)));
    CHECK(hidden >= 1);
    CHECK(hidden <= rule.most(9));
  }
}
