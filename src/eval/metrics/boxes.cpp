#include "eval/metrics/boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tandem/base/error.h"

namespace tandem::eval {
namespace {

double area(const data::Box& box) {
  return std::max(0.0, box.x1 - box.x0) * std::max(0.0, box.y1 - box.y0);
}

void check(const HeatMap& map) {
  TANDEM_CHECK(map.rows > 0 && map.columns > 0 &&
                   static_cast<std::int64_t>(map.values.size()) == map.rows * map.columns,
               "[eval] a map of another size than it says");
}

// Of the whole pixels from `low` to `high` inside [0, size).
std::pair<std::int64_t, std::int64_t> pixels(double low, double high, std::int64_t size) {
  const auto limit = static_cast<double>(size);
  return {static_cast<std::int64_t>(std::clamp(std::trunc(low), 0.0, limit)),
          static_cast<std::int64_t>(std::clamp(std::trunc(high), 0.0, limit))};
}

}  // namespace

double iou(const data::Box& a, const data::Box& b, Overlap rule) {
  const double width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  const double height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  const double least = rule == Overlap::pixels ? 1 : 0;
  const double both = width > least && height > least ? width * height : 0;
  const double either = area(a) + area(b) - both;
  return either > 0 ? both / either : 0;
}

double share_found(const std::vector<data::Box>& predicted, const std::vector<data::Box>& right,
                   double least, Overlap rule) {
  TANDEM_CHECK(!right.empty() && predicted.size() == right.size(),
               "[eval] boxes that are no pairs");
  double found = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    found += iou(predicted[i], right[i], rule) >= least ? 1 : 0;
  }
  return found / static_cast<double>(right.size());
}

bool points_at(const HeatMap& map, double width, double height, const data::Box& box,
               double tolerance) {
  check(map);
  std::int64_t hottest = -1;
  for (std::size_t i = 0; i < map.values.size(); ++i) {
    if (std::isnan(map.values[i])) continue;
    if (hottest < 0 || map.values[i] > map.values[static_cast<std::size_t>(hottest)]) {
      hottest = static_cast<std::int64_t>(i);
    }
  }
  if (hottest < 0) return false;
  const auto middle = [](std::int64_t cell, std::int64_t cells, double size) {
    return (static_cast<double>(cell) + 0.5) * size / static_cast<double>(cells);
  };
  const double x = middle(hottest % map.columns, map.columns, width);
  const double y = middle(hottest / map.columns, map.rows, height);
  const double right = std::max({box.x0 - x, x - box.x1, 0.0});
  const double below = std::max({box.y0 - y, y - box.y1, 0.0});
  return std::hypot(right, below) <= tolerance;
}

std::int64_t hottest_box(const HeatMap& map, const std::vector<data::Box>& boxes, double power) {
  check(map);
  std::int64_t best = boxes.empty() ? -1 : 0;
  double most = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const data::Box& box = boxes[i];
    const auto [left, right] = pixels(box.x0, box.x1, map.columns);
    const auto [top, bottom] = pixels(box.y0, box.y1, map.rows);
    double sum = 0;
    for (std::int64_t y = top; y < bottom; ++y) {
      for (std::int64_t x = left; x < right; ++x) {
        sum += map.values[static_cast<std::size_t>(y * map.columns + x)];
      }
    }
    const double score = area(box) > 0 ? sum / std::pow(area(box), power) : 0;
    if (score > most) {
      most = score;
      best = static_cast<std::int64_t>(i);
    }
  }
  return best;
}

}  // namespace tandem::eval
