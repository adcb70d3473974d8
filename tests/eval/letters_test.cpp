// Questions with choices, by a model that is told what to reply.

#include "eval/letters.h"

#include <ATen/ops/full.h>

#include <catch2/catch.hpp>

#include "support.h"

namespace letters_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

// The reply to prompt n is replies[n].
class ReplyingModel final : public AbleModel {
 public:
  models::Abilities abilities() override {
    models::Abilities can;
    can.generate = [](const Batch& prompts, const models::GenerateOptions&) {
      std::vector<std::vector<std::int64_t>> ids;
      for (std::int64_t i = 0; i < prompts.text->ids.size(0); ++i) {
        ids.push_back({prompts.text->ids[i][0].item<std::int64_t>()});
      }
      return ids;
    };
    return can;
  }
};

struct Asked {
  ReplyingModel model{};
  models::Processor processor{};
  dist::Mesh mesh{};
  Predictions predictions{.samples = 1};
  std::vector<data::Sample> samples{};
  std::vector<std::string> replies{}, words{};

  data::Sample& add(const std::string& right, std::size_t choices, const std::string& reply,
                    const std::string& kind) {
    data::Sample& sample = samples.emplace_back();
    sample = coloured(std::to_string(replies.size()), 0, "0000ff", {});
    sample.question = "Which?";
    sample.answer = right;
    sample.answers.resize(choices);
    sample.kind = kind;
    replies.push_back(reply);
    return sample;
  }

  Input input() {
    processor.prompt = [this](const data::Sample& sample, const std::string& asked) {
      words.push_back(asked);
      Batch batch;
      batch.text = Tokens{};
      batch.text->ids = at::full({1, 1}, std::stoll(sample.id), at::kLong);
      batch.text->mask = at::full({1, 1}, 1, at::kLong);
      return batch;
    };
    processor.decode = [this](const std::vector<std::int64_t>& ids) {
      return replies.at(static_cast<std::size_t>(ids.at(0)));
    };
    Input input{.model = &model,
                .processor = &processor,
                .source = std::make_shared<GivenSource>(samples),
                .size = 100,
                .batch = 2,
                .threads = 1,
                .mesh = &mesh};
    input.predictions = &predictions;
    return input;
  }
};

}  // namespace

TEST_CASE("replies count by the letter that they name") {
  Asked asked;
  asked.add("B", 2, " B", "text");
  asked.add("A", 4, "Maps show it. The answer is A.", "picture");
  asked.add("A", 4, "C. Arizona", "picture");
  asked.add("B", 2, "The answer is C.", "text");  // there is no such choice
  asked.add("B", 2, "I do not know", "text");
  const Metrics metrics = letters(asked.input());
  CHECK(value_of(metrics, "accuracy") == Approx(2 / 5.0));
  CHECK(value_of(metrics, "accuracy.picture") == Approx(1 / 2.0));
  CHECK(value_of(metrics, "accuracy.text") == Approx(1 / 3.0));
  CHECK(value_of(metrics, "failed") == Approx(2 / 5.0));
  CHECK(value_of(metrics, "failed.picture") == 0);
  CHECK(asked.words.at(0).empty());  // what the turns ask
  CHECK(asked.predictions.lines.size() == 5);
  Input input = asked.input();
  input.prompt = "{} Only the letter.";
  letters(input);
  CHECK(asked.words.back() == "Which? Only the letter.");
}

TEST_CASE("letters need questions with a right one, and a model that writes") {
  Asked asked;
  asked.add("E", 4, "E", "text");
  CHECK_THROWS_WITH(letters(asked.input()), Catch::Contains("got 'E'"));
  asked.samples[0].question.clear();
  CHECK_THROWS_WITH(letters(asked.input()), Catch::Contains("expected a question"));
  ColourModel mute;
  Input input = asked.input();
  input.model = &mute;
  CHECK_THROWS_WITH(letters(input), Catch::Contains("a model that writes"));
  input.model = &asked.model;
  asked.processor.prompt = nullptr;
  CHECK_THROWS_WITH(letters(input), Catch::Contains("a model that reads prompts"));
}

}  // namespace letters_test
