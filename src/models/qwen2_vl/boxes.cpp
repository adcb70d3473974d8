#include "models/qwen2_vl/boxes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tandem/text/boxes.h"

namespace tandem::models::qwen2_vl {
namespace {

using nlohmann::json;
using text::Corners;

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

}  // namespace

std::string write_boxes(const std::vector<LabelledBox>& boxes, const Frame& frame,
                        Version version) {
  std::string text;
  for (const LabelledBox& one : boxes) {
    const auto c = counted(one.box, frame, version);
    const std::string& label = one.label;
    if (version == Version::two) {
      if (!label.empty()) {
        text += "<|object_ref_start|>" + label + "<|object_ref_end|>";
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
  std::vector<LabelledBox> found;
  if (version == Version::two) {
    for (const text::Corners& corners : text::all_boxes(text)) {
      found.push_back({stored_box(corners, frame, version), {}});
    }
    return found;
  }
  for (const text::NamedBox& one : text::json_boxes(text)) {
    found.push_back({stored_box(one.box, frame, version), one.label});
  }
  return found;
}

}  // namespace tandem::models::qwen2_vl
