#include "train/telling.h"

#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "tandem/models/contrast_columns.h"

namespace telling_test {

using namespace tandem;

namespace {

Tokens row(const std::vector<std::int64_t>& ids, const std::vector<std::int64_t>& labels) {
  Tokens tokens;
  tokens.ids = at::tensor(ids, at::kLong).unsqueeze(0);
  tokens.labels = at::tensor(labels, at::kLong).unsqueeze(0);
  tokens.mask = at::ones_like(tokens.ids);
  return tokens;
}

// Has a contrast, a loss of words and nothing else.
class Contrasting : public models::Model {
 public:
  NamedTensors parameters() const override { return {}; }
  void to(const at::Device&) override {}
  void train(bool) override {}
  std::vector<std::string> losses_known() const override { return {"itc", "lm", "other"}; }
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override {
    return {{"itc", chance_among(batch)}, {"lm", chance_among(50)}};
  }
  std::map<std::string, double> counts(const Batch&, const models::LossRequest&) const override {
    return {};
  }
  LossTerms losses(const Batch&, const models::LossRequest&, const models::StepContext&) override {
    return {};
  }
  models::Abilities abilities() override { return {}; }
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>&) override {
    return {};
  }
};

class Narrow final : public Contrasting, public models::ContrastsMicroBatches {
 public:
  explicit Narrow(bool all_ranks) : all_ranks_(all_ranks) {}
  std::vector<std::string> losses_of_micro_batch() const override { return {"itc"}; }
  bool sees_all_ranks() const override { return all_ranks_; }

 private:
  bool all_ranks_;
};

}  // namespace

TEST_CASE("the level of chance of a contrast is that of the pairs which it tells apart at once") {
  config::StageConfig stage;
  stage.losses = {{"itc", 1.0}, {"lm", 1.0}, {"other", 1.0}};
  stage.data.batch = 48;
  stage.data.micro_batch = 8;
  const auto level = [&](const models::Model& model, int ranks) {
    return train::chance_levels(model, stage, ranks);
  };
  Contrasting whole;
  Narrow of_all(true), own(false);
  CHECK(level(whole, 2).size() == 2);  // the third has none
  CHECK(level(whole, 2).at("itc").value == Approx(std::log(48.0)));
  CHECK(level(of_all, 1).at("itc").meaning == "ln 8");
  CHECK(level(of_all, 2).at("itc").value == Approx(std::log(16.0)));
  CHECK(level(own, 2).at("itc").value == Approx(std::log(8.0)));
  CHECK(level(own, 2).at("lm").value == Approx(std::log(50.0)));
  // 24 pairs of a rank as 10, 10 and 4.
  stage.data.micro_batch = 10;
  CHECK(level(own, 2).at("itc").value == Approx((20 * std::log(10.0) + 4 * std::log(4.0)) / 24));
  CHECK(level(own, 2).at("itc").meaning == "ln 10 and ln 4");
  stage.data.micro_batch = 100;  // as many as there are
  CHECK(level(of_all, 2).at("itc").value == Approx(std::log(48.0)));
}

TEST_CASE("what is learned of a sample stands in brackets, pictures as their number") {
  const text::Tokenizer bytes = text::train_bpe({}, 257, text::BpeKind::gpt2);
  const auto id = [&](const char* letter) {
    return static_cast<std::int64_t>(bytes.encode(letter).at(0));
  };
  const std::int64_t a = id("a"), b = id("b"), end = 256;
  CHECK(train::marked_text(
            row({a, -200, -200, -200, b, b, end}, {-100, -100, -100, -100, b, b, end}), bytes) ==
        "a<picture x 3>[[bb<|endoftext|>]]");
  CHECK(train::marked_text(row({a, b, a}, {a, -100, a}), bytes) == "[[a]]b[[a]]");
  CHECK(train::marked_text(row({a, a, a, b}, {-100, -100, -100, -100}), bytes) == "<a x 3>b");
  CHECK(train::marked_text(row({a, b, a, b, a, b, a, b}, {a, b, a, b, a, b, a, b}), bytes, 8) ==
        "[[ab ... ab]]");
}

}  // namespace telling_test
