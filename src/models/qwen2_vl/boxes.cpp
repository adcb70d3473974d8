#include "models/qwen2_vl/boxes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

namespace tandem::models::qwen2_vl {
namespace {

using nlohmann::json;
using Corners = std::array<double, 4>;  // x0, y0, x1, y1

// What corners are counted in: thousandths of a side, or pixels of the picture that is seen.
Corners unit_of(const Frame& frame, Version version) {
  const auto of = [&](std::int64_t stored, std::int64_t seen) {
    const auto side = static_cast<double>(stored);
    return side / (version == Version::two ? 1000.0 : static_cast<double>(seen));
  };
  const double x = of(frame.stored.width, frame.seen.width);
  const double y = of(frame.stored.height, frame.seen.height);
  return {x, y, x, y};
}

Corners corners_of(const data::Box& box) { return {box.x0, box.y0, box.x1, box.y1}; }

std::array<std::int64_t, 4> counted(const data::Box& box, const Frame& frame, Version version) {
  const Corners corners = corners_of(box), unit = unit_of(frame, version);
  std::array<std::int64_t, 4> out{};
  for (std::size_t i = 0; i < 4; ++i) {
    const double value = corners.at(i) / unit.at(i);
    // Thousandths are cut and stay below 1000; pixels are rounded.
    out.at(i) = version == Version::two
                    ? std::clamp<std::int64_t>(static_cast<std::int64_t>(value), 0, 999)
                    : std::max<std::int64_t>(std::llround(value), 0);
  }
  return out;
}

data::Box stored_box(const Corners& read, const Frame& frame, Version version) {
  const Corners unit = unit_of(frame, version);
  const auto width = static_cast<double>(frame.stored.width);
  const auto height = static_cast<double>(frame.stored.height);
  const double xa = std::clamp(read[0] * unit[0], 0.0, width);
  const double ya = std::clamp(read[1] * unit[1], 0.0, height);
  const double xb = std::clamp(read[2] * unit[2], 0.0, width);
  const double yb = std::clamp(read[3] * unit[3], 0.0, height);
  return {std::min(xa, xb), std::min(ya, yb), std::max(xa, xb), std::max(ya, yb)};
}

// --- Qwen2-VL ----------------------------------------------------------------------------------

// "(12,34)" at the beginning of `text`, which then begins behind it.
std::optional<std::array<double, 2>> read_point(std::string_view& text) {
  std::string_view rest = text;
  const auto skip = [&](char mark) {
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    if (rest.empty() || rest.front() != mark) return false;
    rest.remove_prefix(1);
    return true;
  };
  const auto number = [&]() -> std::optional<double> {
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    if (digits == 0 || digits > 12) return {};
    const double value = std::strtod(std::string(rest.substr(0, digits)).c_str(), nullptr);
    rest.remove_prefix(digits);
    return value;
  };
  if (!skip('(')) return {};
  const auto x = number();
  if (!x || !skip(',')) return {};
  const auto y = number();
  if (!y || !skip(')')) return {};
  text = rest;
  return std::array<double, 2>{*x, *y};
}

constexpr std::string_view label_begin = "<|object_ref_start|>", label_end = "<|object_ref_end|>";

// The label that ends last in `text`, which stands before a box.
std::string label_before(std::string_view text) {
  const std::size_t begin = text.rfind(label_begin);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = text.substr(begin + label_begin.size());
  return std::string(rest.substr(0, std::min(rest.find(label_end), rest.size())));
}

std::vector<LabelledBox> read_relative(std::string_view text, const Frame& frame) {
  std::vector<LabelledBox> found;
  std::size_t behind = 0;  // of the box before
  for (std::size_t at = text.find('('); at != std::string_view::npos; at = text.find('(', at)) {
    std::string_view rest = text.substr(at);
    const auto first = read_point(rest);
    const std::size_t comma = rest.find_first_not_of(" ,");
    if (first && comma != std::string_view::npos) rest.remove_prefix(comma);
    const auto second = first ? read_point(rest) : std::nullopt;
    if (!second) {
      ++at;
      continue;
    }
    found.push_back(
        {stored_box({(*first)[0], (*first)[1], (*second)[0], (*second)[1]}, frame, Version::two),
         label_before(text.substr(behind, at - behind))});
    behind = at = text.size() - rest.size();
  }
  return found;
}

// --- Qwen2.5-VL --------------------------------------------------------------------------------

void read_object(const json& object, const Frame& frame, std::vector<LabelledBox>& found) {
  if (!object.is_object()) return;
  const auto box = object.find("bbox_2d");
  if (box == object.end() || !box->is_array() || box->size() != 4) return;
  Corners corners{};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!(*box)[i].is_number()) return;
    corners.at(i) = (*box)[i].get<double>();
  }
  const auto label = object.find("label");
  const bool named = label != object.end() && label->is_string();
  found.push_back({stored_box(corners, frame, Version::two_five),
                   named ? label->get<std::string>() : std::string()});
}

// Whole objects are read one by one, so that a text that was cut off gives those before the cut.
std::vector<LabelledBox> read_absolute(std::string_view text, const Frame& frame) {
  std::vector<LabelledBox> found;
  for (std::size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at)) {
    const std::size_t end = text.find('}', at);
    if (end == std::string_view::npos) break;
    const json object = json::parse(text.substr(at, end - at + 1), nullptr,
                                    /*allow_exceptions=*/false);
    read_object(object, frame, found);
    ++at;
  }
  return found;
}

}  // namespace

std::string write_boxes(const std::vector<LabelledBox>& boxes, const Frame& frame,
                        Version version) {
  std::string text;
  for (const LabelledBox& one : boxes) {
    const auto c = counted(one.box, frame, version);
    const std::string& label = one.label;
    if (version == Version::two) {
      if (!label.empty()) {
        text += std::string(label_begin) + label + std::string(label_end);
      }
      text += "<|box_start|>(" + std::to_string(c[0]) + "," + std::to_string(c[1]) + "),(" +
              std::to_string(c[2]) + "," + std::to_string(c[3]) + ")<|box_end|>";
      continue;
    }
    text += text.empty() ? "[" : ", ";
    text += "{\"bbox_2d\": [" + std::to_string(c[0]) + ", " + std::to_string(c[1]) + ", " +
            std::to_string(c[2]) + ", " + std::to_string(c[3]) + "]";
    if (!label.empty()) text += ", \"label\": " + json(label).dump();
    text += "}";
  }
  if (version == Version::two_five) text += text.empty() ? "[]" : "]";
  return text;
}

std::vector<LabelledBox> read_boxes(std::string_view text, const Frame& frame, Version version) {
  return version == Version::two ? read_relative(text, frame) : read_absolute(text, frame);
}

}  // namespace tandem::models::qwen2_vl
