// What replies are worth, against the originals' Python (tests/reference/replies.py).

#include "eval/metrics/replies.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "eval/metrics/boxes.h"
#include "tandem/base/error.h"
#include "tandem/text/boxes.h"

namespace replies_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

const nlohmann::json& reference() {
  static const nlohmann::json document = nlohmann::json::parse(
      std::ifstream(std::string(TANDEM_SOURCE_DIR) + "/tests/reference/replies.json"));
  return document;
}

Catch::Detail::Approx near(double value) { return Approx(value).margin(1e-9).epsilon(1e-9); }

}  // namespace

TEST_CASE("numbers within a twentieth are right, words but for case") {
  for (const auto& one : reference()["relaxed"]) {
    INFO(one.dump());
    const std::string reply = one[0], right = one[1];
    CHECK(relaxed_match(reply, std::string_view(right)) == one[2].get<bool>());
  }
  CHECK(relaxed_match("104", std::vector<std::string>{"7", "100"}));
}

TEST_CASE("exact matches and edit similarities are the originals'") {
  for (const auto& one : reference()["exact"]) {
    INFO(one.dump());
    CHECK(exact_match(one[0].get<std::string>(), one[1]) == (one[2].get<double>() == 1));
  }
  for (const auto& one : reference()["anls"]) {
    INFO(one.dump());
    CHECK(edit_similarity(one[0].get<std::string>(), one[1]) == near(one[2]));
  }
  CHECK(edit_distance(U"kitten", U"sitting") == 3);
}

TEST_CASE("the letter of a reply is the one that the original finds") {
  for (const auto& one : reference()["letters"]) {
    INFO(one.dump());
    const auto found = chosen_letter(one[0].get<std::string>(), one[1]);
    CHECK(found.value_or(-1) == one[2].get<std::int64_t>());
  }
}

TEST_CASE("the box of a reply is the one that the original reads") {
  for (const auto& one : reference()["boxes"]) {
    INFO(one.dump());
    const data::Box box = relative_box(one[0].get<std::string>(), one[1], one[2]);
    CHECK(box.x0 == near(one[3][0]));
    CHECK(box.y0 == near(one[3][1]));
    CHECK(box.x1 == near(one[3][2]));
    CHECK(box.y1 == near(one[3][3]));
  }
}

TEST_CASE("boxes in JSON, whole or cut off, in pixels of what was seen") {
  const std::string reply =
      "```json\n[{\"bbox_2d\": [10, 20, 30, 40], \"label\": \"a {red} circle\"},\n"
      " {\"note\": {\"bbox_2d\": [1, 2, 3, 4]}}, {\"bbox_2d\": [1, 2]}, {\"bbox_2d\": [5, 6";
  const auto boxes = text::json_boxes(reply);
  REQUIRE(boxes.size() == 2);
  CHECK(boxes[0].label == "a {red} circle");
  CHECK(boxes[1].box == text::Corners{1, 2, 3, 4});
  const data::Box box = absolute_box(reply, 100, 50, 200, 200);
  CHECK(box.x0 == near(5));
  CHECK(box.y0 == near(5));
  CHECK(box.x1 == near(15));
  CHECK(box.y1 == near(10));
  CHECK(absolute_box("[]", 1, 1, 1, 1).x1 == 0);
}

TEST_CASE("a box is written in thousandths and read back") {
  const std::string words = text::marked_box({32, 0, 64, 48}, 64, 48);
  CHECK(words == "<box>(500,0),(999,999)</box>");
  CHECK(text::marked_phrase("a cat") == "<ref>a cat</ref>");
  CHECK(text::marked_quad({{{0, 0}, {32, 0}, {32, 24}, {0, 24}}}, 64, 48) ==
        "<quad>(0,0),(500,0),(500,500),(0,500)</quad>");
  const data::Box box = relative_box(words, 64, 48, 1000);
  CHECK(iou(box, {32, 0, 64, 48}) > 0.99);
  CHECK(text::all_boxes(words + words + "(x,y),(1,2)").size() == 2);
}

TEST_CASE("preferences are right where the reward is higher") {
  CHECK(preference_accuracy({1, 2, 3, 0}, {0, 2, 4, -1}) == 0.5);
  CHECK_THROWS_AS(preference_accuracy({}, {}), Error);
}

}  // namespace replies_test
