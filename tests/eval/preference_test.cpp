// Which of two answers is preferred, by a model that is told how likely they are.

#include "eval/preference.h"

#include <ATen/ops/tensor.h>

#include <array>
#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "support.h"

namespace preference_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

// log p of chosen and rejected, of the reference's, divergence and tokens.
using Likely = std::array<float, 6>;

class LikelyModel final : public AbleModel {
 public:
  models::Abilities abilities() override {
    models::Abilities can;
    can.prefer = [this](const Batch& batch) {
      std::array<std::vector<float>, 6> columns;
      for (std::int64_t i = 0; i < batch.size(); ++i) {
        const auto row = static_cast<std::size_t>(batch.text->ids[i][0].item<std::int64_t>());
        for (std::size_t c = 0; c < 6; ++c) columns.at(c).push_back(told.at(row).at(c));
      }
      models::Preferred made;
      made.chosen = at::tensor(columns[0]);
      made.rejected = at::tensor(columns[1]);
      made.beta = 0.5;
      if (!compares) return made;
      made.reference_chosen = at::tensor(columns[2]);
      made.reference_rejected = at::tensor(columns[3]);
      made.divergence = at::tensor(columns[4]);
      made.tokens = at::tensor(columns[5]).to(at::kLong);
      return made;
    };
    return can;
  }

  std::vector<Likely> told{};
  bool compares = false;
};

data::Turn turn(const char* role, const char* words) { return {role, {text::text_part(words)}}; }

struct Pairs {
  Setting setting{};
  LikelyModel model{};
  std::vector<data::Sample> samples{};
  std::int64_t between = 0;

  Pairs() {
    setting.processor.prepare = [](const data::Sample& sample, Key, bool train) {
      if (train) throw Error(ErrorKind::internal, "this is no training");
      Batch batch;
      batch.positions = {0};
      Tokens tokens;
      tokens.ids = at::tensor({std::stol(sample.id)}).view({1, 1});
      batch.text = tokens;
      if (!sample.rejected.empty()) batch.rejected = tokens;
      return batch;
    };
  }

  void add(const Likely& likely, const std::string& kind) {
    data::Sample sample = coloured(std::to_string(samples.size()),
                                   static_cast<std::int64_t>(samples.size()), "0000ff", {});
    sample.kind = kind;
    sample.turns = {turn("user", "which?"), turn("assistant", "good")};
    sample.rejected = {turn("assistant", "bad")};
    sample.prompt_turns = 1;
    samples.push_back(sample);
    model.told.push_back(likely);
  }

  Metrics measure(std::int64_t batch = 2) {
    Input input = setting.input(samples);
    input.model = &model;
    input.batch = batch;
    input.between = [this] { ++between; };
    return preference(input);
  }
};

std::vector<std::string> names_of(const Metrics& metrics) {
  std::vector<std::string> names;
  for (const auto& [name, value] : metrics) names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE("a pair counts where the chosen answer is the likelier one, and half where both are") {
  Pairs pairs;
  pairs.add({-3, -5}, "a");
  pairs.add({-7, -4}, "a");
  pairs.add({-2, -2}, "b");
  pairs.add({-300, -300.0002F}, "b");  // equal but for rounding
  pairs.add({-1, -3}, "b");
  const Metrics metrics = pairs.measure();
  CHECK(value_of(metrics, "accuracy") == Approx(3.0 / 5));
  CHECK(value_of(metrics, "accuracy.a") == 0.5);
  CHECK(value_of(metrics, "accuracy.b") == Approx(2.0 / 3));
  CHECK(value_of(metrics, "margin") == Approx((2.0 - 3 + 0 + 2) / 5).margin(1e-4));
  CHECK(names_of(metrics).size() == 4);  // it holds no reference
  CHECK(pairs.between == 3);
  for (const std::int64_t batch : {1, 3, 5, 64}) CHECK(pairs.measure(batch) == metrics);
  const auto line = nlohmann::json::parse(pairs.setting.predictions.lines.at(1));
  CHECK(line["text"] == "which?");
  CHECK(line["top"] == std::vector<std::string>{"bad", "good"});
  CHECK(line["scores"] == std::vector<double>{-4, -7});
  CHECK(line["right"] == std::vector<bool>{false, true});
}

TEST_CASE("rewards are told against the reference, the divergence by the token") {
  Pairs pairs;
  pairs.model.compares = true;
  pairs.add({-3, -5, -2, -9, 0.5, 2}, "");   // less than the reference
  pairs.add({-7, -4, -9, -4, 0.25, 6}, "");  // more than it
  pairs.add({-2, -3, -2, -3, 0, 4}, "");     // like it
  const Metrics metrics = pairs.measure();
  CHECK(names_of(metrics) ==
        std::vector<std::string>{"accuracy", "margin", "reward_accuracy", "reward_margin", "kl"});
  CHECK(value_of(metrics, "accuracy") == Approx(2.0 / 3));
  CHECK(value_of(metrics, "reward_accuracy") == Approx(0.5));
  CHECK(value_of(metrics, "reward_margin") == Approx(0.5 * (-5.0 + 2 + 0) / 3));
  CHECK(value_of(metrics, "kl") == Approx(0.75 / 12));
  for (const std::int64_t batch : {1, 3}) CHECK(pairs.measure(batch) == metrics);
}

TEST_CASE("an answer whose probability is no number is not preferred") {
  Pairs pairs;
  const float none = std::numeric_limits<float>::quiet_NaN();
  pairs.add({none, -5}, "");
  pairs.add({-1, -4}, "");
  const Metrics metrics = pairs.measure();
  CHECK(value_of(metrics, "accuracy") == 0.5);
  CHECK(value_of(metrics, "margin") == 3);
}

TEST_CASE("preferences want a model that can tell, and pairs") {
  Pairs pairs;
  pairs.add({-3, -5}, "");
  CHECK(task("preference").can(pairs.model.abilities()));
  CHECK_FALSE(task("preference").can(pairs.setting.model.abilities()));
  CHECK_THROWS_WITH(preference(pairs.setting.input(pairs.samples)),
                    Catch::Contains("how likely answers are"));
  pairs.samples[0].rejected.clear();
  CHECK_THROWS_WITH(pairs.measure(), Catch::Contains("with a rejected answer"));
}

}  // namespace preference_test
