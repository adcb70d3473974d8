#pragma once
// Boxes in words: "(x0,y0),(x1,y1)", numbers of a picture's sides cut into 1000, between marks.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::text {

using Corners = std::array<double, 4>;  // x0, y0, x1, y1

// <ref>words</ref>
std::string marked_phrase(std::string_view words);
// <box>(x0,y0),(x1,y1)</box> of pixels in a picture of that size: thousandths of the sides, cut to
// whole numbers, 0 to 999.
std::string marked_box(const Corners& pixels, double width, double height);
// <quad>(x,y),(x,y),(x,y),(x,y)</quad>, the corners of a slanted one.
std::string marked_quad(const std::array<std::array<double, 2>, 4>& pixels, double width,
                        double height);

// The first "(a,b),(c,d)" of a text, as the released evaluation of RefCOCO reads it: the first pair
// of brackets with a comma between them, whatever stands around; nullopt where what is in them is
// no pair of numbers.
std::optional<Corners> first_box(std::string_view text);
// All of them that can be read.
std::vector<Corners> all_boxes(std::string_view text);

// The "bbox_2d" of every JSON object in a text, also of one that is cut off or stands in a fence of
// Markdown, with its "label".
struct NamedBox {
  Corners box{};
  std::string label{};  // may be empty
};
std::vector<NamedBox> json_boxes(std::string_view text);

// Numbers of 0 to `unit` to pixels. The released evaluation divides by 999, its documents by 1000.
Corners to_pixels(const Corners& box, double width, double height, double unit);

}  // namespace tandem::text
