#include "eval/letters.h"

#include <utility>

#include "eval/each.h"
#include "eval/metrics/replies.h"
#include "tandem/base/error.h"
#include "tandem/text/words.h"

namespace tandem::eval {
namespace {

[[noreturn]] void refuse_letters(const std::string& expected, const std::string& where) {
  throw Error(ErrorKind::config, "[letters] expected " + expected, where);
}

Outcome letter_outcome(const std::string& said, const data::Sample& sample) {
  const std::string& right = sample.answer;
  const auto choices = static_cast<std::int64_t>(sample.answers.size());
  if (right.size() != 1 || right[0] < 'A' || right[0] >= 'A' + choices) {
    refuse_letters("a letter of one of the answers as the right answer; got '" + right + "'",
                   sample.id);
  }
  const std::string reply = text::trimmed(said);
  const auto chosen = chosen_letter(reply, choices);
  const bool is_right = chosen && *chosen == right[0] - 'A';
  Outcome outcome{.values = {is_right ? 1.0 : 0.0, chosen ? 0.0 : 1.0}};
  outcome.query.text = sample.question + " (" + right + ")";
  outcome.query.answers.push_back({.text = reply, .right = is_right});
  return outcome;
}

Reading letter_prompts(const Input& input) {
  const auto prompt = input.processor->prompt;
  if (!prompt) refuse_letters("a model that reads prompts; got another", "eval.tasks");
  Reading reading;
  reading.padding = input.processor->prompt_padding;
  reading.prepare = [prompt, words = input.prompt](const data::Sample& sample, Key, bool) {
    if (sample.question.empty()) refuse_letters("a question; got none", sample.id);
    const std::size_t place = words.find("{}");
    if (words.empty() || place == std::string::npos) return prompt(sample, words);
    return prompt(sample, std::string(words).replace(place, 2, sample.question));
  };
  return reading;
}

}  // namespace

Metrics letters(const Input& input) {
  const auto generate = input.model->abilities().generate;
  const auto decode = input.processor->decode;
  if (!generate || !decode) refuse_letters("a model that writes; got another", "eval.tasks");
  const Judge judge = [&](const Batch& batch, const std::vector<const Judged*>& rows) {
    const auto ids = generate(batch, models::keyed_by(input.generate, batch.positions));
    std::vector<Outcome> outcomes(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] != nullptr) outcomes[i] = letter_outcome(decode(ids[i]), rows[i]->sample);
    }
    return outcomes;
  };
  const std::vector<Outcome> outcomes = outcomes_of(input, "letters", judge, letter_prompts(input));
  Metrics metrics;
  add_means(metrics, "accuracy", outcomes, 0);
  add_means(metrics, "failed", outcomes, 1);
  return metrics;
}

}  // namespace tandem::eval
