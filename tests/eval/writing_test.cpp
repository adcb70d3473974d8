// Captions and open questions, by a model that is told what to say.

#include "eval/writing.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "eval/metrics/captions.h"
#include "support.h"
#include "tandem/data/vqa.h"

namespace writing_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

// Words are told by the number that a prompt is: said[n]. Ranks its candidates by ranks[n].
class TellingModel final : public AbleModel {
 public:
  models::Abilities abilities() override {
    models::Abilities can;
    can.generate = [this](const Batch& prompts, const models::GenerateOptions& options) {
      asked.push_back(options);
      std::vector<std::vector<std::int64_t>> ids;
      for (std::int64_t i = 0; i < prompts.text->ids.size(0); ++i) {
        ids.push_back({prompts.text->ids[i][-1].item<std::int64_t>()});
      }
      return ids;
    };
    if (!ranks.empty()) {
      can.rank = [this](const Batch& prompts, const Tokens& candidates, std::int64_t k) {
        most = k;
        count = candidates.ids.size(0);
        std::vector<std::int64_t> index;
        for (std::int64_t i = 0; i < prompts.text->ids.size(0); ++i) {
          const auto n = static_cast<std::size_t>(prompts.text->ids[i][-1].item<std::int64_t>());
          index.insert(index.end(), ranks.at(n).begin(), ranks.at(n).end());
        }
        const at::Tensor rows = at::tensor(index, at::kLong).view({prompts.text->ids.size(0), -1});
        return models::Ranked{rows, at::full(rows.sizes(), -1.5)};
      };
    }
    return can;
  }

  std::vector<std::vector<std::int64_t>> ranks{};
  std::vector<models::GenerateOptions> asked{};
  std::int64_t most = 0, count = 0;
};

struct Telling {
  TellingModel model{};
  std::vector<std::string> said{};
  std::vector<std::string> seen{};  // words of prompts
  models::Processor processor{};
  dist::Mesh mesh{};
  Predictions predictions{.samples = 1};
  std::vector<data::Sample> samples{};

  data::Sample& add(const std::string& words) {
    samples.push_back(coloured("s" + std::to_string(samples.size()),
                               static_cast<std::int64_t>(samples.size()), "0000ff", {}));
    said.push_back(words);
    return samples.back();
  }

  Input input() {
    processor.prompt = [this](const data::Sample& sample, const std::string& words) {
      seen.push_back(words);
      // Longer and longer ones, so that padding on the left shows.
      const std::int64_t n = std::stoll(sample.id.substr(1));
      Batch batch;
      batch.text = Tokens{};
      batch.text->ids = at::full({1, n + 1}, n, at::kLong);
      batch.text->mask = at::full({1, n + 1}, 1, at::kLong);
      return batch;
    };
    processor.pad_id = 77;
    processor.prompt_padding = Padding::left;
    processor.answer = [](const std::string&) {
      Tokens tokens;
      tokens.ids = at::full({1, 2}, 5, at::kLong);
      tokens.mask = at::full({1, 2}, 1, at::kLong);
      return tokens;
    };
    processor.decode = [this](const std::vector<std::int64_t>& ids) {
      return said.at(static_cast<std::size_t>(ids.at(0)));
    };
    Input input{.model = &model,
                .processor = &processor,
                .source = std::make_shared<GivenSource>(samples),
                .size = 1000,
                .batch = 2,
                .threads = 1,
                .mesh = &mesh};
    input.predictions = &predictions;
    return input;
  }
};

}  // namespace

TEST_CASE("captions are scored word by word against the sample's texts") {
  Telling told;
  told.add("A red ring, on white.").texts = {"a red ring on white", "a ring"};
  told.add("a blue square").texts = {"a green circle on black"};
  told.add("two cats").texts = {"Two cats!"};
  told.add("nothing to compare with");
  Input input = told.input();
  input.generate.sample = true;
  input.prompt = "a picture of ";
  const Metrics metrics = caption(input);
  const CaptionScores scores =
      caption_scores({{"a red ring on white", {"a red ring on white", "a ring"}},
                      {"a blue square", {"a green circle on black"}},
                      {"two cats", {"two cats"}}});
  CHECK(value_of(metrics, "bleu4") == scores.bleu[3]);
  CHECK(value_of(metrics, "bleu1") == scores.bleu[0]);
  CHECK(value_of(metrics, "rouge_l") == scores.rouge_l);
  CHECK(value_of(metrics, "cider") == scores.cider);
  CHECK(value_of(metrics, "words") == Approx((5 + 3 + 2 + 4) / 4.0));
  CHECK(told.seen.at(0) == "a picture of ");
  // Draws are keyed by the place in the source.
  REQUIRE(told.model.asked.size() == 2);
  CHECK(told.model.asked[1].keys.at(0) == Key(0).fold(std::uint64_t{2}));
  REQUIRE(told.predictions.lines.size() == 4);
  const auto line = nlohmann::json::parse(told.predictions.lines[0]);
  CHECK(line.at("query") == "caption");
  CHECK(line.at("top").at(0) == "A red ring, on white.");
  CHECK(line.at("references") == std::vector<std::string>{"a red ring on white", "a ring"});
  CHECK(line.at("values").at(2).get<double>() == Approx(scores.cider_each[0]));
  CHECK_FALSE(nlohmann::json::parse(told.predictions.lines[3]).contains("references"));
}

TEST_CASE("captions need a model that writes and samples that have texts") {
  Telling told;
  told.add("a ring");
  CHECK_THROWS_WITH(caption(told.input()), Catch::Contains("samples with texts"));
  ColourModel mute;
  Input input = told.input();
  input.model = &mute;
  CHECK_THROWS_WITH(caption(input), Catch::Contains("a model that writes"));
}

TEST_CASE("words of captions are lower case, without punctuation, clitics apart") {
  CHECK(caption_words("A man's dog -- isn't it big?") == "a man 's dog is n't it big");
  CHECK(caption_words("\"Two\" (red) rings; 3.5 of them, 1,000 in all.") ==
        "two red rings 3.5 of them 1,000 in all");
  CHECK(caption_words("black-and-white 'photo'") == "black-and-white photo");
  CHECK(caption_words("...") == "");
}

TEST_CASE("answers that are written are worth what people or the sample's scores say") {
  Telling told;
  data::Sample& people = told.add("The Net");
  people.question = "what is it?";
  people.answer = "net";
  people.answers = {{"net", 1, -1, 3}, {"webbing", 0.6, -1, 7}};
  data::Sample& scored = told.add("two");
  scored.question = "how many?";
  scored.answer = "three";
  scored.answers = {{"three", 1, -1}, {"2", 0.6, -1}};
  data::Sample& wrong = told.add("a red ring");
  wrong.question = "where?";
  wrong.answer = "left";
  wrong.kind = "place";
  Input input = told.input();
  input.prompt = "Q: {} A:";
  const Metrics metrics = vqa(input);
  // 3 of 10 people: the mean over them of min(1, the others' number / 3).
  const double soft = (3 * (2.0 / 3) + 7 * 1.0) / 10;
  CHECK(value_of(metrics, "accuracy") == Approx((soft + 0.6 + 0) / 3));
  CHECK(value_of(metrics, "accuracy.place") == 0);
  CHECK(value_of(metrics, "exact") == Approx(1 / 3.0));
  CHECK(told.seen.at(0) == "Q: what is it? A:");
  const auto line = nlohmann::json::parse(told.predictions.lines.at(1));
  CHECK(line.at("text") == "how many? (three)");
  CHECK(line.at("right").at(0) == false);
}

TEST_CASE("answers that are written also count by numbers that are near and by edits") {
  Telling told;
  const auto ask = [&](const char* said, const char* right) {
    data::Sample& sample = told.add(said);
    sample.question = "how much?";
    sample.answer = right;
  };
  ask("12.5", "12");             // near enough; two edits of four letters
  ask("Blu ring", "blue ring");  // one edit of nine letters
  ask("11", "12");               // more than 5 % off; one edit of two letters
  Input input = told.input();
  const Metrics metrics = vqa(input);
  CHECK(value_of(metrics, "accuracy") == 0);
  CHECK(value_of(metrics, "relaxed") == Approx(1 / 3.0));
  CHECK(value_of(metrics, "anls") == Approx((0.5 + 8 / 9.0 + 0.5) / 3));
}

TEST_CASE("any answer with a score is a right one to the relaxed match and to the edits") {
  Telling told;
  data::Sample& sample = told.add("two rings");
  sample.question = "what?";
  sample.answer = "rings";
  sample.answers = {{"rings", 1, -1}, {"two rings", 0.3, -1}, {"squares", 0, -1}};
  const Metrics metrics = vqa(told.input());
  CHECK(value_of(metrics, "relaxed") == 1);
  CHECK(value_of(metrics, "anls") == 1);
  CHECK(value_of(metrics, "exact") == 0);
  told.said[0] = "squares";
  CHECK(value_of(vqa(told.input()), "relaxed") == 0);
}

TEST_CASE("answers that are ranked come from the source's list or the task's") {
  Telling told;
  for (const char* answer : {"yes", "no"}) {
    data::Sample& sample = told.add("");
    sample.question = "is it?";
    sample.answer = answer;
  }
  told.model.ranks = {{2, 0}, {2, 1}};
  Input input = told.input();
  CHECK(value_of(vqa(input), "accuracy") == 0);  // no list: what is written counts
  input.answers = "ranked";
  CHECK_THROWS_WITH(vqa(input), Catch::Contains("a list of answers"));
  input.candidates = {"a", "b", "no"};
  const Metrics metrics = vqa(input);
  CHECK(value_of(metrics, "accuracy") == Approx(0.5));
  CHECK(told.model.count == 3);
  CHECK(told.model.most == 3);
  input.first = 2;
  vqa(input);
  CHECK(told.model.most == 2);
  input.answers = "closed";
  CHECK_THROWS_WITH(vqa(input), Catch::Contains("head"));
}

}  // namespace writing_test
