// Retrieval with several captions, and zero-shot classes, on colours that can be checked by hand.

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/retrieval.h"
#include "eval/zero_shot.h"
#include "support.h"

namespace protocols_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

// Of three pictures. `a` has a caption that speaks of b, and one of its own; the only caption of
// `c` speaks of b.
std::vector<data::Sample> pictures() {
  return {coloured("a", 1, "ff0000", {"00fe00", "ff0101"}), coloured("b", 2, "00ff00", {"00ff00"}),
          coloured("c", 3, "0000ff", {"01ff00"})};
}

}  // namespace

TEST_CASE("a picture is found by any of its captions, each caption asks for its own picture") {
  Setting setting;
  const Metrics metrics = retrieval(setting.input(pictures()));
  // a: its second caption is first. b: its own is as good as a's first one, a tie. c: its own is
  // behind ff0101 (some blue).
  CHECK(value_of(metrics, "image_to_text.r1") == Approx(1.0 / 3));
  CHECK(value_of(metrics, "image_to_text.r5") == 1);
  // 00fe00 finds b before a; ff0101 and 00ff00 are right; 01ff00 finds b before c.
  CHECK(value_of(metrics, "text_to_image.r1") == Approx(0.5));
  CHECK(value_of(metrics, "text_to_image.r5") == 1);
}

TEST_CASE("only the first captions count") {
  Setting setting;
  Input input = setting.input(pictures());
  input.captions = 1;
  CHECK(value_of(retrieval(input), "image_to_text.r1") == 0);
}

TEST_CASE("predictions are a line a query in the order of the source, and some for a person") {
  Setting setting;
  retrieval(setting.input(pictures()));
  REQUIRE(setting.predictions.lines.size() == 3 + 4);
  const auto first = nlohmann::json::parse(setting.predictions.lines[0]);
  CHECK(first["query"] == "image_to_text");
  CHECK(first["id"] == "a");
  CHECK(first["place"] == 0);
  CHECK(first["top"][0] == "a#1");
  CHECK(first["top"].size() == 4);
  CHECK(first["scores"][0].get<double>() > first["scores"][1].get<double>());
  const auto fourth = nlohmann::json::parse(setting.predictions.lines[3]);
  CHECK(fourth["id"] == "a#0");
  CHECK(fourth["top"][0] == "b");
  CHECK(fourth["place"] == 2);                       // b, and c, which is as far away as a
  REQUIRE(setting.predictions.queries.size() == 4);  // two of each way
  CHECK(setting.predictions.queries[0].picture == 0);
  CHECK(setting.predictions.queries[0].answers[0].right);
  CHECK(setting.predictions.queries[2].picture == -1);
  CHECK(setting.predictions.queries[2].answers[0].picture == 1);
}

TEST_CASE("a class is the normalised mean of the normalised embeddings of its templates") {
  Setting setting;
  Input input = setting.input({});
  input.classes = {"ff", "00"};
  input.templates = {"{}0000", "00{}ff and more"};
  const at::Tensor rows = class_rows(input);
  // "ff": (1, 0, 0) and (0, 1, 1)/sqrt(2); their mean is (0.5, 0.354, 0.354), of length 0.7071.
  CHECK(rows[0][0].item<float>() == Approx(0.5 / std::sqrt(0.5)));
  CHECK(rows[0][1].item<float>() == Approx(0.5 * std::sqrt(0.5) / std::sqrt(0.5)));
  CHECK(rows[0].norm().item<float>() == Approx(1));
  // "00": (0, 0, 0) and (0, 0, 1).
  CHECK(rows[1][2].item<float>() == Approx(1));
}

TEST_CASE("zero-shot accuracy counts pictures by label or by the class that their text names") {
  Setting setting;
  Input input =
      setting.input({coloured("a", 1, "ff0000", {}, 0), coloured("b", 2, "00ff00", {"00ff"}),
                     coloured("c", 3, "00fe11", {}, 1), coloured("d", 4, "ff1100", {}, 1)});
  input.classes = {"ff00", "00ff"};
  input.templates = {"{}00"};
  const Metrics metrics = zero_shot(input);
  CHECK(value_of(metrics, "top1") == 0.75);
  CHECK(value_of(metrics, "top5") == 1);
  CHECK(value_of(metrics, "mean_per_class") == Approx((1 + 2.0 / 3) / 2));
  CHECK(metrics.size() == 3);  // nothing was left out
  REQUIRE(setting.predictions.lines.size() == 4);
  const auto last = nlohmann::json::parse(setting.predictions.lines[3]);
  CHECK(last["query"] == "00ff");
  CHECK(last["top"][0] == "ff00");
  CHECK(last["place"] == 1);
}

TEST_CASE("a picture whose class is not known is left out of zero-shot accuracy and counted") {
  Setting setting;
  Input input = setting.input({coloured("a", 1, "ff0000", {}, 0), coloured("b", 2, "00ff00", {"g"}),
                               coloured("c", 3, "00fe11", {}, 1), coloured("d", 4, "ff1100", {}, 1),
                               coloured("e", 5, "ff1100", {}, 2)});
  input.templates = {"{}00"};
  input.classes = {"ff00", "00ff"};
  const Metrics metrics = zero_shot(input);
  CHECK(value_of(metrics, "left_out") == 2);
  CHECK(value_of(metrics, "top1") == Approx(2.0 / 3));
  CHECK(value_of(metrics, "mean_per_class") == 0.75);
  REQUIRE(setting.predictions.lines.size() == 3);
  CHECK(nlohmann::json::parse(setting.predictions.lines[1])["id"] == "c");
  REQUIRE(setting.predictions.queries.size() == 2);
  CHECK(setting.predictions.queries[1].picture == 2);  // in the source
  input = setting.input({coloured("b", 2, "00ff00", {"g"})});
  input.templates = {"{}00"};
  input.classes = {"ff00", "00ff"};
  CHECK_THROWS_WITH(zero_shot(input), Catch::Contains("b: ") && Catch::Contains("'g'"));
}

TEST_CASE("templates without a place for the name, and no classes, are refused") {
  Setting setting;
  Input input = setting.input({});
  CHECK_THROWS_WITH(class_rows(input), Catch::Contains("classes_file"));
  input.classes = {"ff"};
  for (const char* bad : {"no place", "{} twice {}"}) {
    input.templates = {bad};
    CHECK_THROWS_WITH(class_rows(input), Catch::Contains(bad));
  }
}

TEST_CASE("the hard gallery asks for groups and counts right first places within them") {
  Setting setting;
  CHECK_THROWS_WITH(hard_retrieval(setting.input(pictures())), Catch::Contains("split: hard"));
  auto samples = pictures();
  samples[0].group = samples[1].group = 0;
  samples[2].group = 1;
  const Metrics metrics = hard_retrieval(setting.input(samples));
  // c is alone in its group. In the other, a's caption 00fe00 is b's as much as b's own.
  CHECK(value_of(metrics, "text_to_image") == Approx(2.0 / 3));
  CHECK(value_of(metrics, "image_to_text") == Approx(1.0 / 3));
}

}  // namespace protocols_test
