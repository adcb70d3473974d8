// Ranking by a model that sees picture and text at once, on colours that can be checked by hand.

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "eval/match.h"
#include "eval/retrieval.h"
#include "support.h"

namespace rerank_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

// A colour model that can also match, or only match: the score of a pair is what `score` says of
// the picture's first pixel and the text's first token.
class MatchModel final : public AbleModel {
 public:
  using Score = std::function<double(std::int64_t picture, std::int64_t text)>;

  explicit MatchModel(Score score, bool embeds = true)
      : score_(std::move(score)), embeds_(embeds) {}
  models::Abilities abilities() override {
    models::Abilities can = embeds_ ? colours_.abilities() : models::Abilities{};
    can.match = [this](const Batch& batch) { return matched(batch); };
    return can;
  }

  std::vector<std::int64_t> batches{};  // their sizes

 private:
  at::Tensor matched(const Batch& batch) {
    batches.push_back(batch.size());
    at::Tensor out = at::empty({batch.size()}, at::kFloat);
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      const at::Tensor pixel = batch.images->pixels[i].select(1, 0).select(1, 0).to(at::kLong);
      const std::int64_t picture = pixel[0].item<std::int64_t>() * 65536 +
                                   pixel[1].item<std::int64_t>() * 256 +
                                   pixel[2].item<std::int64_t>();
      out[i] = score_(picture, batch.text->ids[i][0].item<std::int64_t>());
    }
    return out;
  }

  Score score_;
  bool embeds_;
  ColourModel colours_{};
};

// Three pictures with a text each, near each other by cosine: each text is nearest to the next
// picture.
std::vector<data::Sample> shifted() {
  return {coloured("a", 1, "ff1000", {"10ff00"}), coloured("b", 2, "10ff00", {"0010ff"}),
          coloured("c", 3, "0010ff", {"ff1000"})};
}

// Right pairs by their colours.
double knows(std::int64_t picture, std::int64_t text) {
  const bool right = (picture == 0xff1000 && text == 0x10ff00) ||
                     (picture == 0x10ff00 && text == 0x0010ff) ||
                     (picture == 0x0010ff && text == 0xff1000);
  return right ? 5 : -5;
}

Input input_of(Setting& setting, models::Model& model, std::vector<data::Sample> samples) {
  Input input = setting.input(std::move(samples));
  input.model = &model;
  return input;
}

}  // namespace

TEST_CASE("the first of the cosine are ranked anew by how well they match") {
  Setting setting;
  MatchModel model(knows);
  Input input = input_of(setting, model, shifted());
  CHECK(value_of(retrieval(input), "mean") == Approx((0 + 1 + 1 + 0 + 1 + 1) / 6.0));
  CHECK(model.batches.empty());
  input.rerank = 3;
  setting.predictions = {.samples = 2};
  CHECK(value_of(retrieval(input), "mean") == 1);
  // Every pair is a candidate both ways: 9 pairs, in batches of 2.
  CHECK(model.batches == std::vector<std::int64_t>{2, 2, 2, 2, 1});
  const auto line = nlohmann::json::parse(setting.predictions.lines[0]);
  CHECK(line["top"][0] == "a#0");
  CHECK(line["scores"][0] == 5);
  CHECK(line["scores"][2] == -5);
}

TEST_CASE("what is no candidate stands behind, in the order of its cosine") {
  Setting setting;
  MatchModel model(knows);
  Input input = input_of(setting, model, shifted());
  input.rerank = 1;  // the wrong one, always: the right one is second or third, as by cosine
  const Metrics metrics = retrieval(input);
  CHECK(value_of(metrics, "image_to_text.r1") == 0);
  CHECK(value_of(metrics, "text_to_image.r1") == 0);
  const auto line = nlohmann::json::parse(setting.predictions.lines[0]);
  CHECK(line["top"].size() == 1);
  Setting other;
  Input plain = input_of(other, model, shifted());
  retrieval(plain);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(nlohmann::json::parse(setting.predictions.lines[i])["place"] ==
          nlohmann::json::parse(other.predictions.lines[i])["place"]);
  }
}

TEST_CASE("a match that is no number stands last, and equal ones count against the model") {
  Setting setting;
  MatchModel silent(
      [](std::int64_t, std::int64_t) { return std::numeric_limits<double>::quiet_NaN(); });
  Input input = input_of(setting, silent, shifted());
  input.rerank = 3;
  CHECK(value_of(retrieval(input), "image_to_text.r1") == 0);
  MatchModel indifferent([](std::int64_t, std::int64_t) { return 1.0; });
  input.model = &indifferent;
  input.rerank = 3;
  CHECK(value_of(retrieval(input), "image_to_text.r1") == 0);
}

TEST_CASE("the cosine is added where that is asked for") {
  Setting setting;
  MatchModel indifferent([](std::int64_t, std::int64_t) { return 1.0; });
  Input input =
      input_of(setting, indifferent,
               {coloured("a", 1, "ff0000", {"ff0000"}), coloured("b", 2, "00ff00", {"00ff00"})});
  input.rerank = 2;
  CHECK(value_of(retrieval(input), "image_to_text.r1") == 0);
  input.add_cosine = true;
  setting.predictions = {.samples = 2};
  CHECK(value_of(retrieval(input), "image_to_text.r1") == 1);
  const auto line = nlohmann::json::parse(setting.predictions.lines[0]);
  CHECK(line["scores"][0] == 2);
  CHECK(line["scores"][1] == 1);
}

TEST_CASE("a model that cannot embed ranks every pair") {
  Setting setting;
  MatchModel model(knows, /*embeds=*/false);
  Input input = input_of(setting, model, shifted());
  CHECK(value_of(retrieval(input), "mean") == 1);
  CHECK(model.batches == std::vector<std::int64_t>{2, 2, 2, 2, 1});
  input.rerank = 2;
  CHECK_THROWS_WITH(retrieval(input), Catch::Contains("cannot embed"));
}

TEST_CASE("a sample that cannot be read has no pair") {
  Setting setting;
  MatchModel model(knows, /*embeds=*/false);
  auto samples = shifted();
  samples.insert(samples.begin() + 1, coloured("broken", 9, "ffffff", {"ffffff"}));
  Input input = input_of(setting, model, samples);
  CHECK(value_of(retrieval(input), "mean") == 1);
  CHECK(setting.predictions.lines.size() == 6);
}

TEST_CASE("a model that cannot match is refused where matches are asked for") {
  Setting setting;
  Input input = setting.input(shifted());
  input.rerank = 2;
  CHECK_THROWS_WITH(retrieval(input), Catch::Contains("cannot match"));
}

TEST_CASE("within groups every pair is matched") {
  Setting setting;
  MatchModel model(knows);
  auto samples = shifted();
  for (data::Sample& sample : samples) sample.group = 0;
  samples.push_back(coloured("d", 4, "ffffff", {"ffffff"}));
  samples.back().group = 1;
  Input input = input_of(setting, model, samples);
  CHECK(value_of(hard_retrieval(input), "text_to_image") == Approx(0.25));
  input.rerank = 1;
  const Metrics metrics = hard_retrieval(input);
  CHECK(value_of(metrics, "text_to_image") == 1);
  CHECK(value_of(metrics, "image_to_text") == 1);
  CHECK(model.batches.size() == 5);  // 9 + 1 pairs
}

TEST_CASE("a score of its own is what pairs are ranked by") {
  // The probability says nothing any more where the logit still does.
  class Saturated final : public AbleModel {
   public:
    models::Abilities abilities() override {
      models::Abilities can;
      can.match = [](const Batch& batch) { return at::full({batch.size()}, 1.0); };
      can.match_score = [](const Batch& batch) {
        // Of the picture's red and the text's.
        const at::Tensor red = batch.images->pixels.select(1, 0).select(1, 0).select(1, 0);
        return batch.text->ids.select(1, 0).div(65536, "floor").sub(red).abs().neg().to(at::kFloat);
      };
      return can;
    }
  };
  Setting setting;
  Saturated model;
  Input input =
      input_of(setting, model,
               {coloured("a", 1, "ff0000", {"fe0000"}), coloured("b", 2, "f00000", {"f20000"})});
  CHECK(value_of(retrieval(input), "mean") == 1);
}

}  // namespace rerank_test
