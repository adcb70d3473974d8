#pragma once
// Line charts as SVG, without a library: a few hundred points a line, the mean of what lies
// between.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tandem::report::html {

std::string joined(std::initializer_list<std::string_view> parts);
// "0.0012", "12.3k": four digits that a person reads.
std::string shown(double value);

struct Line {
  std::string name{};
  std::size_t colour = 0;                           // of the page's palette
  std::vector<std::pair<double, double>> points{};  // x rising; a y that is not finite is a gap
};

struct Chart {
  std::string title{};
  std::vector<Line> lines{};
  std::vector<std::pair<double, std::string>> levels{};  // dashed, with a name: chance
  std::vector<double> borders{};                         // x of thin marks: where stages begin
  bool from_zero = false;
};

// At most `most` points; each is the mean of as many neighbours (x of the last one).
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               std::size_t most);

// Steps of 1, 2 or 5 times a power of ten that cover [low, high]: about `count` of them.
std::vector<double> ticks(double low, double high, int count);

// A <figure> with the drawing and its points for the reader under the pointer; empty when no line
// has a finite point.
std::string figure(const Chart& chart);

}  // namespace tandem::report::html
