#include "tandem/text/boxes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace tandem::text {
namespace {

std::string thousandths(double pixel, double side) {
  const double share = side > 0 ? std::floor(pixel * 1000 / side) : 0;
  return std::to_string(static_cast<int>(std::clamp(share, 0.0, 999.0)));
}

std::string point(double x, double y, double width, double height) {
  return "(" + thousandths(x, width) + "," + thousandths(y, height) + ")";
}

std::string_view stripped(std::string_view text) {
  constexpr std::string_view space = " \t\n\r\f\v";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

// As Python's float() for what models write; no underscores, no infinities.
std::optional<double> number(std::string_view text) {
  text = stripped(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

// "a,b"
std::optional<std::array<double, 2>> pair_of(std::string_view text) {
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) return {};
  const auto x = number(text.substr(0, comma)), y = number(text.substr(comma + 1));
  if (!x || !y) return {};
  return std::array<double, 2>{*x, *y};
}

// What stands in the brackets of the first "(..),(..)" of one line from `from` on, and where it
// ends.
struct Brackets {
  std::string_view first{}, second{};
  std::size_t end = 0;
};
std::optional<Brackets> brackets(std::string_view text, std::size_t from) {
  for (std::size_t open = text.find('(', from); open != std::string_view::npos;
       open = text.find('(', open + 1)) {
    const std::size_t line = std::min(text.find('\n', open), text.size());
    const std::size_t middle = text.find("),(", open + 1);
    if (middle == std::string_view::npos || middle >= line) continue;
    const std::size_t close = text.find(')', middle + 3);
    if (close == std::string_view::npos || close >= line) continue;
    return Brackets{text.substr(open + 1, middle - open - 1),
                    text.substr(middle + 3, close - middle - 3), close + 1};
  }
  return {};
}

std::optional<Corners> corners_of(const Brackets& found) {
  const auto a = pair_of(found.first), b = pair_of(found.second);
  if (!a || !b) return {};
  return Corners{(*a)[0], (*a)[1], (*b)[0], (*b)[1]};
}

std::optional<NamedBox> named_box(const nlohmann::json& object) {
  if (!object.is_object()) return {};
  const auto corners = object.find("bbox_2d");
  if (corners == object.end() || !corners->is_array() || corners->size() != 4) return {};
  NamedBox box;
  for (std::size_t i = 0; i < 4; ++i) {
    if (!(*corners)[i].is_number()) return {};
    box.box.at(i) = (*corners)[i].get<double>();
  }
  const auto label = object.find("label");
  if (label != object.end() && label->is_string()) box.label = label->get<std::string>();
  return box;
}

// Behind the bracket that closes the object at `open`; npos: it is cut off.
std::size_t end_of_object(std::string_view text, std::size_t open) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t at = open; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c == '\\') ++at;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::string marked_phrase(std::string_view words) {
  return "<ref>" + std::string(words) + "</ref>";
}

std::string marked_box(const Corners& b, double width, double height) {
  return "<box>" + point(b[0], b[1], width, height) + "," + point(b[2], b[3], width, height) +
         "</box>";
}

std::string marked_quad(const std::array<std::array<double, 2>, 4>& corners, double width,
                        double height) {
  std::string words = "<quad>";
  for (const auto& [x, y] : corners) {
    if (words.back() == ')') words += ',';
    words += point(x, y, width, height);
  }
  return words + "</quad>";
}

std::optional<Corners> first_box(std::string_view text) {
  const auto found = brackets(text, 0);
  return found ? corners_of(*found) : std::nullopt;
}

std::vector<Corners> all_boxes(std::string_view text) {
  std::vector<Corners> boxes;
  for (auto found = brackets(text, 0); found; found = brackets(text, found->end)) {
    if (const auto box = corners_of(*found)) boxes.push_back(*box);
  }
  return boxes;
}

std::vector<NamedBox> json_boxes(std::string_view text) {
  std::vector<NamedBox> boxes;
  std::size_t at = text.find('{');
  while (at != std::string_view::npos) {
    const std::size_t end = end_of_object(text, at);
    if (end == std::string_view::npos) break;
    const auto object = nlohmann::json::parse(text.substr(at, end - at), nullptr,
                                              /*allow_exceptions=*/false);
    const auto box = named_box(object);
    if (box) boxes.push_back(*box);
    at = text.find('{', box ? end : at + 1);
  }
  return boxes;
}

Corners to_pixels(const Corners& b, double width, double height, double unit) {
  return {b[0] / unit * width, b[1] / unit * height, b[2] / unit * width, b[3] / unit * height};
}

}  // namespace tandem::text
