#pragma once
// Boxes in pictures, and maps of where a model looked. Boxes are [x0, x1) x [y0, y1) in pixels:
// x1 = x0 + width.

#include <cstdint>
#include <vector>

#include "tandem/data/sample.h"

namespace tandem::eval {

// Area of the overlap over the area of both. pixels: the rule of the code that RefCOCO+ is measured
// with, which adds 1 to inclusive corners (x0 + width - 1): the same numbers, but that an overlap
// of at most one pixel's width or height counts as none.
enum class Overlap { exact, pixels };
double iou(const data::Box& a, const data::Box& b, Overlap rule = Overlap::exact);

// Share of pairs whose IoU is at least `least`. As many predicted as right ones, at least one.
double share_found(const std::vector<data::Box>& predicted, const std::vector<data::Box>& right,
                   double least = 0.5, Overlap rule = Overlap::exact);

// Numbers over a picture, as fine as its pixels or coarser: cell (row, column) covers an equal
// part.
struct HeatMap {
  std::int64_t rows = 0, columns = 0;
  std::vector<float> values{};  // row by row
};

// The pointing game (Zhang et al., arXiv:1608.00507): whether the middle of the hottest cell, the
// first of equal ones, lies in the box or at most `tolerance` pixels away. width, height: of the
// picture, in whose pixels the box is. A cell that is no number is never the hottest.
bool points_at(const HeatMap& map, double width, double height, const data::Box& box,
               double tolerance = 0);

// Which proposal is hottest: the sum of the map, which has the picture's pixels, inside it over
// area^power. The first of equal ones; -1: there
// are none. Edges are cut down to whole pixels.
std::int64_t hottest_box(const HeatMap& map, const std::vector<data::Box>& boxes,
                         double power = 0.5);

}  // namespace tandem::eval
