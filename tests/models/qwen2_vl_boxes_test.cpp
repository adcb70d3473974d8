#include <catch2/catch.hpp>

#include "models/qwen2_vl/boxes.h"

namespace qwen2_vl_boxes_test {

using namespace tandem;
using namespace tandem::models::qwen2_vl;

namespace {

// Stored at 200 x 100 (width x height), seen at 112 x 56.
const Frame frame{{100, 200}, {56, 112}};

void check(const data::Box& box, double x0, double y0, double x1, double y1) {
  CHECK(box.x0 == Approx(x0).margin(1e-9));
  CHECK(box.y0 == Approx(y0).margin(1e-9));
  CHECK(box.x1 == Approx(x1).margin(1e-9));
  CHECK(box.y1 == Approx(y1).margin(1e-9));
}

}  // namespace

TEST_CASE("Qwen2-VL writes boxes in thousandths of the picture") {
  const std::vector<LabelledBox> boxes{{{20, 10, 199.9, 100}, "a red circle"},
                                       {{0, 0, 50, 50}, ""}};
  const std::string text = write_boxes(boxes, frame, Version::two);
  CHECK(text ==
        "<|object_ref_start|>a red circle<|object_ref_end|><|box_start|>(100,100),(999,999)"
        "<|box_end|><|box_start|>(0,0),(250,500)<|box_end|>");
  const auto read = read_boxes(text, frame, Version::two);
  REQUIRE(read.size() == 2);
  check(read[0].box, 20, 10, 199.8, 99.9);
  check(read[1].box, 0, 0, 50, 50);
}

TEST_CASE("Qwen2.5-VL writes boxes in pixels of the picture that it sees") {
  const std::vector<LabelledBox> boxes{{{50, 25, 100, 50}, "a \"box\""}, {{0, 0, 200, 100}, ""}};
  const std::string text = write_boxes(boxes, frame, Version::two_five);
  CHECK(text ==
        R"([{"bbox_2d": [28, 14, 56, 28], "label": "a \"box\""}, {"bbox_2d": [0, 0, 112, 56]}])");
  const auto read = read_boxes(text, frame, Version::two_five);
  REQUIRE(read.size() == 2);
  check(read[0].box, 50, 25, 100, 50);
  CHECK(read[0].label == "a \"box\"");
  check(read[1].box, 0, 0, 200, 100);
  CHECK(write_boxes({}, frame, Version::two_five) == "[]");
}

TEST_CASE("boxes are found in what a model says, whatever stands around them") {
  const auto fenced = read_boxes(
      "Here it is:\n```json\n{\"label\": \"x\", \"bbox_2d\": [56, 28, 28, 14]}\n``` and "
      "{\"bbox_2d\": [1, 2]} {\"bbox_2d\": [1, 2, 3",
      frame, Version::two_five);
  REQUIRE(fenced.size() == 1);
  check(fenced[0].box, 50, 25, 100, 50);
  const auto loose = read_boxes("The big one is at (100,200),(5000,400).", frame, Version::two);
  REQUIRE(loose.size() == 1);
  check(loose[0].box, 20, 20, 200, 40);
  for (const char* text :
       {"", "(", "(1,2)", "(1,2),(3", "{}", "[1, 2, 3, 4]", "((((", "(1,2),(3,)"}) {
    CAPTURE(text);
    CHECK(read_boxes(text, frame, Version::two).empty());
    CHECK(read_boxes(text, frame, Version::two_five).empty());
  }
}

}  // namespace qwen2_vl_boxes_test
