#include "report/html/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "tandem/base/encode.h"

namespace tandem::report::html {
namespace {

constexpr double width = 440, height = 220, left = 52, right = 12, top = 12, bottom = 28;
constexpr std::size_t most_points = 400;

std::string fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

struct Frame {
  Range x, y;
  double px(double value) const {
    const double span = x.high > x.low ? x.high - x.low : 1;
    return left + (value - x.low) / span * (width - left - right);
  }
  double py(double value) const {
    const double span = y.high > y.low ? y.high - y.low : 1;
    return height - bottom - (value - y.low) / span * (height - top - bottom);
  }
};

Frame frame_of(const Chart& chart) {
  Frame frame;
  for (const Line& line : chart.lines) {
    for (const auto& [x, y] : line.points) {
      if (!std::isfinite(y)) continue;
      frame.x.add(x);
      frame.y.add(y);
    }
  }
  if (frame.y.empty()) return frame;
  for (const auto& [value, name] : chart.levels) frame.y.add(value);
  if (chart.from_zero) frame.y.add(0);
  const double span = frame.y.high - frame.y.low;
  const double room = span > 0 ? 0.06 * span : std::max(1e-12, 0.1 * std::abs(frame.y.high));
  if (!chart.from_zero || frame.y.low < 0) frame.y.low -= room;
  frame.y.high += room;
  return frame;
}

std::string axes(const Frame& frame) {
  std::string svg;
  for (const double y : ticks(frame.y.low, frame.y.high, 5)) {
    const std::string at = fixed(frame.py(y));
    svg += joined({"<line class=grid x1=", fixed(left), " x2=", fixed(width - right), " y1=", at,
                   " y2=", at, " /><text class=tick x=", fixed(left - 6), " y=", at,
                   " dy=\".32em\" text-anchor=end>", shown(y), "</text>"});
  }
  for (const double x : ticks(frame.x.low, frame.x.high, 5)) {
    if (x != std::floor(x)) continue;  // half a step is none
    svg += "<text class=tick x=" + fixed(frame.px(x)) + " y=" + fixed(height - 8) +
           " text-anchor=middle>" + shown(x) + "</text>";
  }
  return svg + "<line class=axis x1=" + fixed(left) + " x2=" + fixed(width - right) +
         " y1=" + fixed(height - bottom) + " y2=" + fixed(height - bottom) + " />";
}

std::string path_of(const Frame& frame, const Line& line) {
  std::string path;
  bool pen_down = false;
  std::size_t finite = 0;
  double x1 = 0, y1 = 0;
  for (const auto& [x, y] : line.points) {
    if (!std::isfinite(y)) {
      pen_down = false;
      continue;
    }
    ++finite;
    x1 = frame.px(x);
    y1 = frame.py(y);
    path += (pen_down ? "L" : "M") + fixed(x1) + " " + fixed(y1);
    pen_down = true;
  }
  const std::string colour = std::to_string(line.colour % 8);
  std::string svg = "<path class=\"line c" + colour + "\" d=\"" + path + "\"/>";
  // A single point draws no line.
  if (finite == 1) {
    svg += "<circle class=\"dot c" + colour + "\" r=4 cx=" + fixed(x1) + " cy=" + fixed(y1) + " />";
  }
  return svg;
}

// What the page's script reads under the pointer.
std::string data_of(const Frame& frame, const std::vector<Line>& lines) {
  nlohmann::json json;
  json["x"] = {frame.x.low, frame.x.high, left, width - right};
  for (const Line& line : lines) {
    nlohmann::json points = nlohmann::json::array();
    for (const auto& [x, y] : line.points) {
      if (std::isfinite(y)) points.push_back({x, shown(y)});
    }
    json["lines"].push_back({{"name", line.name}, {"colour", line.colour % 8}, {"points", points}});
  }
  return escape_html(json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

}  // namespace

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

std::string shown(double value) {
  char text[32];
  const double size = std::abs(value);
  if (size >= 1e6) {
    std::snprintf(text, sizeof text, "%.4gM", value / 1e6);
  } else if (size >= 1e4) {
    std::snprintf(text, sizeof text, "%.4gk", value / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.4g", size < 1e-300 ? 0.0 : value);
  }
  return text;
}

std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               std::size_t most) {
  if (points.size() <= most) return points;
  std::vector<std::pair<double, double>> out;
  for (std::size_t i = 0; i < most; ++i) {
    const std::size_t first = points.size() * i / most, last = points.size() * (i + 1) / most;
    double sum = 0;
    for (std::size_t j = first; j < last; ++j) sum += points[j].second;
    out.emplace_back(points[last - 1].first, sum / static_cast<double>(last - first));
  }
  return out;
}

std::vector<double> ticks(double low, double high, int count) {
  const double span = high - low;
  if (!(span > 0) || !std::isfinite(span)) return {low};
  const double rough = span / std::max(1, count);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> found;
  for (auto i = static_cast<std::int64_t>(std::ceil(low / step - 1e-9));
       static_cast<double>(i) * step <= high + 1e-9 * span; ++i) {
    found.push_back(static_cast<double>(i) * step);
  }
  return found;
}

std::string figure(const Chart& given) {
  Chart chart = given;
  for (Line& line : chart.lines) line.points = thinned(line.points, most_points);
  const Frame frame = frame_of(chart);
  if (frame.y.empty()) return {};
  std::string svg = axes(frame);
  for (const double x : chart.borders) {
    if (x <= frame.x.low || x > frame.x.high) continue;
    const std::string at = fixed(frame.px(x));
    svg += joined({"<line class=border x1=", at, " x2=", at, " y1=", fixed(top),
                   " y2=", fixed(height - bottom), " />"});
  }
  for (const auto& [value, name] : chart.levels) {
    const std::string at = fixed(frame.py(value));
    svg += joined({"<line class=level x1=", fixed(left), " x2=", fixed(width - right), " y1=", at,
                   " y2=", at, " /><text class=tick x=", fixed(width - right), " y=",
                   fixed(frame.py(value) - 4), " text-anchor=end>", escape_html(name), "</text>"});
  }
  for (const Line& line : chart.lines) svg += path_of(frame, line);
  svg += "<line class=cursor y1=" + fixed(top) + " y2=" + fixed(height - bottom) + " />";
  return "<figure class=chart data-points=\"" + data_of(frame, chart.lines) + "\"><figcaption>" +
         escape_html(chart.title) + "</figcaption><svg viewBox=\"0 0 " + fixed(width) + " " +
         fixed(height) + "\" role=img aria-label=\"" + escape_html(chart.title) + "\">" + svg +
         "</svg></figure>\n";
}

}  // namespace tandem::report::html
