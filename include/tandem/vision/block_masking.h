#pragma once
// Which patches of a picture masked image modelling hides: rectangles, one after the other, until
// enough are hidden. Source: Bao et al. 2022 (BEiT, arXiv:2106.08254), algorithm 1;
// microsoft/unilm:beit/masking_generator.py.

#include <cstdint>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/base/random.h"

namespace tandem::vision {

struct BlockMaskingRule {
  double share = 75.0 / 196;   // of the patches, at most
  std::int64_t smallest = 16;  // patches of a rectangle, where as many may still be hidden
  double min_aspect = 0.3;     // of a rectangle; the largest is its inverse

  std::int64_t most(std::int64_t cells) const;  // hidden patches; at least 1
};
void fields(FieldVisitor& visitor, BlockMaskingRule& rule);

// [height * width] row by row, 1 = hidden. A rectangle is lower and narrower than the grid. Between
// 1 and rule.most() patches are hidden: where no rectangle fits, one patch is.
std::vector<std::uint8_t> mask_blocks(std::int64_t height, std::int64_t width,
                                      const BlockMaskingRule& rule, Key key);

}  // namespace tandem::vision
