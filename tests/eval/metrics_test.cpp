// Metrics against what the originals' own packages say (tests/reference/caption_metrics.py), and
// boxes that can be checked by hand.

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "eval/metrics/answers.h"
#include "eval/metrics/boxes.h"
#include "eval/metrics/captions.h"
#include "eval/metrics/classes.h"
#include "tandem/base/error.h"

namespace metrics_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

nlohmann::json reference(const std::string& name) {
  std::ifstream file(std::string(TANDEM_SOURCE_DIR) + "/tests/reference/" + name);
  return nlohmann::json::parse(file);
}

Catch::Detail::Approx near(double value) { return Approx(value).margin(1e-9).epsilon(1e-9); }

}  // namespace

TEST_CASE("BLEU, ROUGE-L and CIDEr are those of the Python package") {
  for (const auto& one : reference("caption_metrics.json")) {
    std::vector<Captioned> pictures;
    for (const auto& picture : one["pictures"]) {
      pictures.push_back({picture["caption"], picture["references"]});
    }
    const CaptionScores scores = caption_scores(pictures);
    CHECK(scores.rouge_l == near(one["rouge_l"]));
    CHECK(scores.cider == near(one["cider"]));
    for (std::size_t n = 0; n < 4; ++n) CHECK(scores.bleu[n] == near(one["bleu"][n]));
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      INFO(pictures[i].caption);
      CHECK(scores.rouge_l_each[i] == near(one["rouge_l_each"][i]));
      CHECK(scores.cider_each[i] == near(one["cider_each"][i]));
      for (std::size_t n = 0; n < 4; ++n) {
        CHECK(scores.bleu_each[i][n] == near(one["bleu_each"][i][n]));
      }
    }
  }
}

TEST_CASE("captions without references, and no captions, are refused") {
  CHECK_THROWS_WITH(caption_scores({}), Catch::Contains("got none"));
  CHECK_THROWS_WITH(caption_scores({{"a dog", {}}}), Catch::Contains("a reference"));
}

TEST_CASE("answers are normalised as the official evaluation does") {
  for (const auto& one : reference("answer_accuracy.json")["normalised"]) {
    CHECK(normalised_answer(one[0].get<std::string>()) == one[1].get<std::string>());
  }
}

TEST_CASE("an answer's accuracy is the official one") {
  for (const auto& one : reference("answer_accuracy.json")["cases"]) {
    const auto answer = one[0].get<std::string>();
    INFO(answer << " among " << one[1].dump());
    CHECK(answer_accuracy(answer, one[1]) == Approx(one[2].get<double>()).margin(1e-8));
  }
}

TEST_CASE("three of ten people make an answer right in part only") {
  std::vector<std::string> people(10, "no");
  for (std::size_t n = 0; n < 5; ++n) {
    const double said = static_cast<double>(n);
    // n people each see n - 1 others, the rest see n.
    const double expected =
        (said * std::min(1.0, (said - 1) / 3) + (10 - said) * std::min(1.0, said / 3)) / 10;
    CHECK(answer_accuracy("Yes.", people) == Approx(expected));
    people[n] = "yes";
  }
}

TEST_CASE("IoU, and the rule that counts no overlap of one pixel") {
  const data::Box box{10, 10, 20, 20};
  CHECK(iou(box, box) == 1);
  CHECK(iou(box, {15, 10, 25, 20}) == Approx(50.0 / 150));
  CHECK(iou(box, {20, 10, 30, 20}) == 0);
  CHECK(iou(box, {30, 30, 20, 40}) == 0);  // a box of no width
  CHECK(iou({0, 0, 0, 0}, {0, 0, 0, 0}) == 0);
  CHECK(iou(box, {19, 10, 29, 20}) == Approx(10.0 / 190));
  CHECK(iou(box, {19, 10, 29, 20}, Overlap::pixels) == 0);
  CHECK(iou(box, {18, 10, 28, 20}, Overlap::pixels) == Approx(20.0 / 180));
  // Exactly a half counts.
  CHECK(share_found({{0, 0, 10, 5}, {0, 0, 10, 4}}, {{0, 0, 10, 10}, {0, 0, 10, 10}}) == 0.5);
}

TEST_CASE("the hottest cell points into a box or near it") {
  // Of a picture of 40 x 20: cells of 10 x 10.
  HeatMap map{2, 4, {0, 0, 0, 0, 0, 0, 1, 1}};
  CHECK(points_at(map, 40, 20, {20, 10, 30, 20}));  // (25, 15): the first of the two
  CHECK_FALSE(points_at(map, 40, 20, {30, 10, 40, 20}));
  CHECK(points_at(map, 40, 20, {30, 10, 40, 20}, 5));
  CHECK_FALSE(points_at(map, 40, 20, {28, 19, 40, 20}, 4.9));
  CHECK(points_at(map, 40, 20, {28, 19, 40, 20}, 5));  // 3 and 4 away
  const float nan = std::numeric_limits<float>::quiet_NaN();
  map.values = {nan, 0, 0, 0, 0, -1, 0, nan};
  CHECK(points_at(map, 40, 20, {10, 0, 20, 10}));
  map.values.assign(8, nan);
  CHECK_FALSE(points_at(map, 40, 20, {0, 0, 40, 20}));
}

TEST_CASE("a proposal is as hot as its map over a power of its area") {
  HeatMap map{4, 4, std::vector<float>(16, 0)};
  map.values[5] = 4;  // (1, 1)
  const std::vector<data::Box> boxes{{0, 0, 4, 4}, {1.9, 1.9, 2.9, 2.9}, {3, 3, 9, 9}};
  CHECK(hottest_box(map, boxes) == 1);       // 4 over 1; edges are cut to 1 and 2
  CHECK(hottest_box(map, boxes, 0) == 0);    // of equal sums the first
  CHECK(hottest_box(map, {boxes[2]}) == 0);  // nothing in it, but there is no other
  CHECK(hottest_box(map, {}) == -1);
}

TEST_CASE("accuracy by class leaves out classes that do not occur") {
  const ClassAccuracy result = class_accuracy({0, 0, 0, 2}, {0, 0, 1, 5}, 3);
  CHECK(result.share == 0.5);
  CHECK(result.each[0] == Approx(2.0 / 3));
  CHECK(std::isnan(result.each[1]));
  CHECK(result.each[2] == 0);
  CHECK(result.mean_per_class == Approx(1.0 / 3));
  CHECK(result.count == std::vector<std::int64_t>{3, 0, 1});
}

}  // namespace metrics_test
