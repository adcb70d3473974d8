// Tasks with a list of answers, and places in pictures, by a model that is told what to say.

#include "eval/labels.h"

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "eval/each.h"
#include "eval/grounding.h"
#include "eval/writing.h"
#include "support.h"

namespace labels_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

using Row = std::vector<float>;
const float nan_value = std::numeric_limits<float>::quiet_NaN();

// Gives the row of the number that the sample's text is.
class ToldModel final : public AbleModel {
 public:
  models::Abilities abilities() override {
    models::Abilities can;
    if (!rows.empty()) can.classify = [this](const Batch& batch) { return told(batch); };
    if (columns > 0) {
      can.locate = [this](const Batch& batch) {
        return told(batch).view({batch.size(), -1, columns});
      };
    }
    return can;
  }

  std::vector<Row> rows{};
  std::int64_t columns = 0;  // of a map

 private:
  at::Tensor told(const Batch& batch) {
    std::vector<at::Tensor> all;
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      all.push_back(at::tensor(
          rows.at(static_cast<std::size_t>(batch.text->ids[i][0].item<std::int64_t>()))));
    }
    return at::stack(all);
  }
};

class WithAnswers final : public data::Source {
 public:
  WithAnswers(std::vector<data::Sample> samples, std::vector<std::string> answers)
      : inner_(std::move(samples)), answers_(std::move(answers)) {}
  std::int64_t size() const override { return inner_.size(); }
  std::string fingerprint() const override { return "given"; }
  data::Sample read(std::int64_t index) const override { return inner_.read(index); }
  std::vector<std::string> answers() const override { return answers_; }

 private:
  GivenSource inner_;
  std::vector<std::string> answers_;
};

struct Told {
  Setting setting{};
  ToldModel model{};
  std::vector<data::Sample> samples{};
  std::vector<std::string> answers{};

  Told() {
    setting.processor.prepare = [](const data::Sample& sample, Key, bool train) {
      if (train) throw Error(ErrorKind::internal, "this is no training");
      Batch batch;
      batch.positions = {0};
      Tokens tokens;
      tokens.ids = at::full({1, 1}, std::stol(sample.texts.at(0)), at::kLong);
      tokens.mask = at::full({1, 1}, 1, at::kLong);
      batch.text = tokens;
      return batch;
    };
  }

  // A sample for which the model says this.
  data::Sample& add(Row row, std::int64_t label, std::string kind = {}) {
    data::Sample sample =
        coloured("s" + std::to_string(samples.size()), static_cast<std::int64_t>(samples.size()),
                 "ffffff", {std::to_string(model.rows.size())}, label);
    sample.question = "what?";
    sample.kind = std::move(kind);
    model.rows.push_back(std::move(row));
    samples.push_back(std::move(sample));
    return samples.back();
  }

  Input input() {
    Input input = setting.input({});
    input.model = &model;
    input.source = std::make_shared<WithAnswers>(samples, answers);
    return input;
  }
};

bool has(const Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("an answer counts as much as people agree with it") {
  Told told;
  told.answers = {"yes", "no", "two"};
  told.add({3, 1, 2}, 0, "yes/no").answers = {{"yes", 1, 0}, {"no", 0.3, 1}};
  told.add({3, 9, 2}, 0, "yes/no").answers = {{"yes", 1, 0}, {"no", 0.3, 1}};
  told.add({3, 1, 5}, 0, "count").answers = {{"yes", 0.6, 0}};
  told.add({3, 1, 5}, -1, "count").answers = {{"five", 1, -1}};  // none is in the list
  told.add({0, 1, 5}, 2, "count");                               // a label alone
  const Metrics metrics = vqa(told.input());
  CHECK(value_of(metrics, "accuracy") == Approx((1 + 0.3 + 0 + 0 + 1) / 5));
  CHECK(value_of(metrics, "accuracy.yes/no") == Approx(1.3 / 2));
  CHECK(value_of(metrics, "accuracy.count") == Approx(1.0 / 3));
  REQUIRE(told.setting.predictions.lines.size() == 5);
  const auto line = nlohmann::json::parse(told.setting.predictions.lines[1]);
  CHECK(line["query"] == "vqa");
  CHECK(line["id"] == "s1");
  CHECK(line["text"] == "what? (yes)");
  CHECK(line["top"] == nlohmann::json({"no", "yes", "two"}));
  CHECK(line["right"] == nlohmann::json({false, true, false}));
  CHECK(line["values"][0] == 0.3);
  REQUIRE(told.setting.predictions.queries.size() == 2);
  CHECK(told.setting.predictions.queries[1].picture == 1);
}

TEST_CASE("equal logits, and logits that are no numbers, are no answer") {
  Told told;
  told.add({1, 1, 0}, 0);
  told.add({0, 0, 0}, 0);
  told.add({nan_value, 0, 0}, 0);
  told.add({1, nan_value, 0}, 0);
  told.add({1, 0, 0}, 0);
  const Metrics metrics = vqa(told.input());
  CHECK(value_of(metrics, "accuracy") == 0.2);
  CHECK(metrics.size() == 1);  // of one kind
}

TEST_CASE("accuracy by label, of two and of three") {
  Told told;
  told.add({0, 1}, 1, "both");
  told.add({0, 1}, 0, "both");
  told.add({1, 0}, 0, "one");
  Metrics metrics = nlvr2(told.input());
  CHECK(value_of(metrics, "accuracy") == Approx(2.0 / 3));
  CHECK(value_of(metrics, "accuracy.both") == 0.5);
  CHECK(value_of(metrics, "label.true") == 1);
  CHECK(value_of(metrics, "label.false") == 0.5);
  CHECK(value_of(metrics, "mean_per_label") == 0.75);

  Told three;
  three.add({9, 1, 2}, 0);
  three.add({9, 1, 2}, 2);
  metrics = entailment(three.input());
  CHECK(value_of(metrics, "accuracy") == 0.5);
  CHECK(value_of(metrics, "label.contradiction") == 1);
  CHECK(value_of(metrics, "label.entailment") == 0);
  CHECK_FALSE(has(metrics, "label.neutral"));
}

TEST_CASE("what cannot be read is left out of every mean") {
  Told told;
  told.add({1, 0}, 0);
  told.add({1, 0}, 1).id = "broken";
  told.add({1, 0}, 0);
  CHECK(value_of(nlvr2(told.input()), "accuracy") == 1);
  CHECK(told.setting.predictions.lines.size() == 2);
}

TEST_CASE("only the first samples count, in batches that do not end with them") {
  Told told;
  for (int i = 0; i < 7; ++i) told.add({1, 0}, i < 3 ? 0 : 1);
  Input input = told.input();
  input.size = 3;
  CHECK(value_of(nlvr2(input), "accuracy") == 1);
  input.size = 5;
  input.batch = 64;
  CHECK(value_of(nlvr2(input), "accuracy") == Approx(3.0 / 5));
}

TEST_CASE("labels out of range and models without a head are refused") {
  Told told;
  told.add({1, 0}, 2);
  CHECK_THROWS_WITH(nlvr2(told.input()), Catch::Contains("s0") && Catch::Contains("below 2"));
  told.samples[0].question.clear();
  CHECK_THROWS_WITH(vqa(told.input()), Catch::Contains("a question"));
  told.model.rows.clear();
  CHECK_THROWS_WITH(vqa(told.input()), Catch::Contains("[vqa]") && Catch::Contains("head"));
  CHECK_THROWS_WITH(grounding(told.input()), Catch::Contains("[grounding]"));
}

TEST_CASE("maps point into boxes, and choose among proposals") {
  Told told;
  told.model.columns = 2;
  const data::Box left{0, 0, 4, 8}, right{4, 0, 8, 8};
  const auto add = [&](Row map, const data::Box& box, std::vector<data::Box> proposals) {
    data::Sample& sample = told.add(std::move(map), -1);
    sample.pictures[0].pixels = vision::make_image(8, 8);
    sample.boxes = {box};
    sample.proposals = std::move(proposals);
  };
  add({1, 0, 0, 0}, left, {left, right});
  add({1, 0, 0, 0}, right, {left, right});
  CHECK(value_of(grounding(told.input()), "pointing") == 0.5);
  CHECK(value_of(grounding(told.input()), "accuracy") == 0.5);
  // The label says which is right, whatever the boxes.
  told.samples[1].label = 0;
  CHECK(value_of(grounding(told.input()), "accuracy") == 1);
  add({0, 1, 0, nan_value}, right, {left, right, left, right});
  const Metrics metrics = grounding(told.input());
  CHECK(value_of(metrics, "pointing") == Approx(2.0 / 3));
  CHECK(value_of(metrics, "accuracy") == Approx(2.0 / 3));
  CHECK(value_of(metrics, "chance") == Approx((0.5 + 0.5 + 0.25) / 3));
  for (data::Sample& sample : told.samples) sample.proposals.clear();
  CHECK_FALSE(has(grounding(told.input()), "accuracy"));
  told.samples[0].boxes.clear();
  CHECK_THROWS_WITH(grounding(told.input()), Catch::Contains("a box"));
}

TEST_CASE("a score that is no number stays none where the ranks' outcomes are put together") {
  Told told;
  told.add({1, 0}, 0);
  const Judge judge = [](const Batch&, const std::vector<const Judged*>& rows) {
    std::vector<Outcome> outcomes(rows.size());
    for (Outcome& one : outcomes) {
      one.values = {0.5, nan_value};
      one.query.answers.push_back({.text = "a", .score = nan_value});
    }
    return outcomes;
  };
  const std::vector<Outcome> all = outcomes_of(told.input(), "x", judge);
  REQUIRE(all.size() == 1);
  CHECK(all[0].values.at(0) == 0.5);
  CHECK(std::isnan(all[0].values.at(1)));
  CHECK(std::isnan(all[0].query.answers.at(0).score));
}

}  // namespace labels_test
