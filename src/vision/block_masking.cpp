#include "tandem/vision/block_masking.h"

#include <algorithm>
#include <cmath>

#include "tandem/base/error.h"

namespace tandem::vision {
namespace {

constexpr int tries = 10;  // of a rectangle

struct Grid {
  std::int64_t height, width;
  std::vector<std::uint8_t> hidden;

  std::uint8_t& at(std::int64_t row, std::int64_t column) {
    return hidden[static_cast<std::size_t>(row * width + column)];
  }
};

// Hides one more rectangle with at most `left` patches that are not hidden yet; how many it hid.
std::int64_t hide_block(Grid& grid, std::int64_t left, const BlockMaskingRule& rule,
                        Random& random) {
  const double aspect = std::log(rule.min_aspect);
  for (int attempt = 0; attempt < tries; ++attempt) {
    const double area =
        random.uniform(static_cast<double>(rule.smallest), static_cast<double>(left));
    const double ratio = std::exp(random.uniform(aspect, -aspect));
    const auto h = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area * ratio)));
    const auto w = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area / ratio)));
    if (h >= grid.height || w >= grid.width) continue;
    const std::int64_t top = random.between(0, grid.height - h);
    const std::int64_t first = random.between(0, grid.width - w);
    std::int64_t fresh = 0;
    for (std::int64_t y = top; y < top + h; ++y) {
      for (std::int64_t x = first; x < first + w; ++x) fresh += grid.at(y, x) == 0;
    }
    if (fresh == 0 || fresh > left) continue;
    for (std::int64_t y = top; y < top + h; ++y) {
      for (std::int64_t x = first; x < first + w; ++x) grid.at(y, x) = 1;
    }
    return fresh;
  }
  return 0;
}

}  // namespace

std::int64_t BlockMaskingRule::most(std::int64_t cells) const {
  return std::max<std::int64_t>(1, std::llround(share * static_cast<double>(cells)));
}

void fields(FieldVisitor& v, BlockMaskingRule& r) {
  v.field(
      "share", r.share,
      {.doc = "of the patches, at most; 75 of 196 in BEiT", .min = 0, .max = 1, .above_min = true});
  v.field("smallest", r.smallest, {.doc = "patches of a rectangle", .min = 1, .max = 1 << 20});
  v.field(
      "min_aspect", r.min_aspect,
      {.doc = "of a rectangle; the largest is its inverse", .min = 0, .max = 1, .above_min = true});
}

std::vector<std::uint8_t> mask_blocks(std::int64_t height, std::int64_t width,
                                      const BlockMaskingRule& rule, Key key) {
  TANDEM_CHECK(height > 0 && width > 0, "[masking] expected a grid of patches");
  Grid grid{height, width, {}};
  grid.hidden.assign(static_cast<std::size_t>(height * width), 0);
  Random random(key.fold("patches"));
  const std::int64_t most = rule.most(height * width);
  std::int64_t count = 0;
  while (count < most) {
    const std::int64_t fresh = hide_block(grid, most - count, rule, random);
    if (fresh == 0) break;
    count += fresh;
  }
  if (count == 0) grid.hidden[random.below(grid.hidden.size())] = 1;
  return grid.hidden;
}

}  // namespace tandem::vision
