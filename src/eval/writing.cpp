#include "eval/writing.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

#include "eval/each.h"
#include "eval/labels.h"
#include "eval/metrics/answers.h"
#include "eval/metrics/captions.h"
#include "eval/metrics/replies.h"
#include "tandem/base/error.h"
#include "tandem/data/best_answer.h"

namespace tandem::eval {
namespace {

constexpr std::int64_t ranked_answers = 5;

using Rows = std::vector<const Judged*>;

[[noreturn]] void refuse(const std::string& task, const std::string& expected,
                         const std::string& hint = {}) {
  throw Error(ErrorKind::config, "[" + task + "] expected " + expected, "eval.tasks", hint);
}

// Batches are what the model goes on from.
Reading prompts_of(const Input& input, const std::string& task, bool questions) {
  const auto prompt = input.processor->prompt;
  if (!prompt) refuse(task, "a model that reads prompts; got another");
  Reading reading;
  reading.padding = input.processor->prompt_padding;
  reading.prepare = [prompt, questions, words = input.prompt](const data::Sample& sample, Key,
                                                              bool) {
    if (!questions) return prompt(sample, words);
    if (sample.question.empty()) {
      throw Error(ErrorKind::config, "[vqa] expected a question; got none", sample.id);
    }
    std::string asked = words.empty() ? sample.question : words;
    const std::size_t place = asked.find("{}");
    if (!words.empty() && place != std::string::npos) asked.replace(place, 2, sample.question);
    return prompt(sample, asked);
  };
  return reading;
}

// --- Captions

std::vector<Outcome> told(const std::vector<std::string>& captions, const Rows& rows) {
  std::vector<Outcome> outcomes(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == nullptr) continue;
    const data::Sample& sample = rows[i]->sample;
    outcomes[i].references = sample.texts;
    outcomes[i].query.text = sample.texts.empty() ? "" : sample.texts.front();
    outcomes[i].query.answers = {{.text = captions[i]}};
  }
  return outcomes;
}

// The caption of each, as words.
std::vector<std::string> captions_of(const std::vector<Outcome>& outcomes) {
  std::vector<std::string> captions;
  for (const Outcome& one : outcomes) {
    captions.push_back(caption_words(one.query.answers.front().text));
  }
  return captions;
}

CaptionScores scored(const std::vector<Outcome>& outcomes,
                     const std::vector<std::string>& captions) {
  std::vector<Captioned> pictures;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome& one = outcomes[i];
    if (one.references.empty()) continue;
    Captioned picture{captions[i]};
    for (const std::string& text : one.references)
      picture.references.push_back(caption_words(text));
    pictures.push_back(std::move(picture));
  }
  if (pictures.empty()) {
    throw Error(ErrorKind::data, "[caption] expected samples with texts; got none");
  }
  return caption_scores(pictures);
}

// Values of each: BLEU-4, ROUGE-L and CIDEr, where there are references.
void add_scores(std::vector<Outcome>& outcomes, const CaptionScores& scores) {
  std::size_t at = 0;
  for (Outcome& one : outcomes) {
    if (one.references.empty()) continue;
    one.values = {scores.bleu_each[at][3], scores.rouge_l_each[at], scores.cider_each[at]};
    one.query.answers.front().score = scores.cider_each[at];
    ++at;
  }
}

double mean_words(const std::vector<std::string>& captions) {
  double words = 0;
  for (const std::string& text : captions) {
    words += text.empty() ? 0 : static_cast<double>(std::count(text.begin(), text.end(), ' ') + 1);
  }
  return words / static_cast<double>(captions.size());
}

// --- Questions

struct Given {
  std::vector<Answer> answers{};  // the first one counts
};

// By the official rule where people are known, else by the sample's scores.
double worth(const data::Sample& sample, const std::string& answer) {
  std::vector<std::string> people;
  for (const data::Answer& one : sample.answers) {
    people.insert(people.end(), static_cast<std::size_t>(one.people), one.text);
  }
  if (!people.empty()) return answer_accuracy(answer, people);
  const std::string normal = normalised_answer(answer);
  double best = normal == normalised_answer(sample.answer) && sample.answers.empty() ? 1 : 0;
  for (const data::Answer& one : sample.answers) {
    if (normalised_answer(one.text) == normal) best = std::max(best, one.score);
  }
  return best;
}

// The right answers, however many people gave each.
std::vector<std::string> right_answers(const data::Sample& sample) {
  std::vector<std::string> right;
  for (const data::Answer& one : sample.answers) {
    if (one.score > 0) right.push_back(one.text);
  }
  if (right.empty()) right.push_back(sample.answer);
  return right;
}

// Values of each: its worth, whether it is the best one, whether a right one as ChartQA counts, and
// how near the nearest right one as DocVQA does.
std::vector<Outcome> judged(std::vector<Given> given, const Rows& rows) {
  std::vector<Outcome> outcomes(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == nullptr) continue;
    const data::Sample& sample = rows[i]->sample;
    const std::string& right = data::best_answer(sample);
    Outcome& one = outcomes[i];
    one.query.text = sample.question + (right.empty() ? "" : " (" + right + ")");
    one.query.answers = std::move(given[i].answers);
    for (Answer& answer : one.query.answers) {
      answer.right = normalised_answer(answer.text) == normalised_answer(right);
    }
    const Answer said = one.query.answers.empty() ? Answer{} : one.query.answers.front();
    const std::vector<std::string> all = right_answers(sample);
    one.values = {worth(sample, said.text), said.right ? 1.0 : 0.0,
                  relaxed_match(said.text, all) ? 1.0 : 0.0, edit_similarity(said.text, all)};
  }
  return outcomes;
}

Judge writer(const Input& input) {
  const auto generate = input.model->abilities().generate;
  const auto decode = input.processor->decode;
  if (!generate || !decode) refuse("vqa", "a model that writes; got another");
  return [&input, generate, decode](const Batch& batch, const Rows& rows) {
    std::vector<Given> given;
    for (const auto& ids : generate(batch, models::keyed_by(input.generate, batch.positions))) {
      given.push_back({{{.text = decode(ids)}}});
    }
    return judged(std::move(given), rows);
  };
}

Tokens candidates_of(const Input& input, const std::vector<std::string>& answers) {
  std::vector<Batch> examples;
  for (const std::string& answer : answers) {
    Batch one;
    one.text = input.processor->answer(answer);
    examples.push_back(std::move(one));
  }
  return to(collate(examples, input.processor->pad_id), input.device).text.value();
}

Judge ranker(const Input& input) {
  const auto rank = input.model->abilities().rank;
  if (!rank || !input.processor->answer) refuse("vqa", "a model that ranks answers; got another");
  const std::vector<std::string> answers =
      input.candidates.empty() ? input.source->answers() : input.candidates;
  if (answers.empty()) {
    refuse("vqa", "a list of answers to rank; got none",
           "give the task an `answer_list`, or the source a closed list");
  }
  const Tokens candidates = candidates_of(input, answers);
  const std::int64_t first = std::min<std::int64_t>(std::max<std::int64_t>(input.first, 1),
                                                    static_cast<std::int64_t>(answers.size()));
  return [rank, candidates, first, answers](const Batch& batch, const Rows& rows) {
    const models::Ranked ranked = rank(batch, candidates, first);
    const at::Tensor index = ranked.index.to(at::kCPU), score = ranked.score.to(at::kCPU);
    std::vector<Given> given(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      for (std::int64_t k = 0; k < std::min(ranked_answers, index.size(1)); ++k) {
        given[i].answers.push_back(
            {.text = answers.at(static_cast<std::size_t>(index[row][k].item<std::int64_t>())),
             .score = score[row][k].item<double>()});
      }
    }
    return judged(std::move(given), rows);
  };
}

std::string way_of(const Input& input) {
  if (!input.answers.empty()) return input.answers;
  const models::Abilities can = input.model->abilities();
  if (can.classify || (!can.rank && !can.generate)) return "closed";
  const bool list = !input.candidates.empty() || !input.source->answers().empty();
  return can.rank && list ? "ranked" : "generated";
}

bool is_clitic(std::string_view word) {
  constexpr std::array<std::string_view, 6> clitics{"'s", "'m", "'d", "'re", "'ve", "'ll"};
  return std::find(clitics.begin(), clitics.end(), word) != clitics.end();
}

bool digit(char c) { return c >= '0' && c <= '9'; }

// Into `words`: a word without spaces or brackets, its clitics apart.
void add_word(std::string word, std::vector<std::string>& words) {
  constexpr std::string_view edges = "'`.,-:";
  while (!word.empty() && edges.find(word.back()) != std::string_view::npos) word.pop_back();
  while (!word.empty() && edges.find(word.front()) != std::string_view::npos && !is_clitic(word) &&
         !(word.size() > 1 && word[0] == '.' && digit(word[1]))) {
    word.erase(0, 1);
  }
  if (word.empty()) return;
  if (word.size() > 3 && word.ends_with("n't")) {
    words.push_back(word.substr(0, word.size() - 3));
    words.emplace_back("n't");
    return;
  }
  const std::size_t quote = word.rfind('\'');
  if (quote != std::string::npos && quote > 0 && is_clitic(word.substr(quote))) {
    words.push_back(word.substr(0, quote));
    words.push_back(word.substr(quote));
    return;
  }
  words.push_back(std::move(word));
}

}  // namespace

std::string caption_words(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool in_number = i > 0 && i + 1 < text.size() && digit(text[i - 1]) && digit(text[i + 1]);
    const bool parts = std::string_view("?!;()[]{}\"").find(c) != std::string_view::npos ||
                       ((c == ',' || c == ':') && !in_number) ||
                       (c == '-' && i + 1 < text.size() && text[i + 1] == '-');
    plain += parts ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  std::vector<std::string> words;
  std::istringstream stream(plain);
  for (std::string word; stream >> word;) add_word(std::move(word), words);
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

Metrics caption(const Input& input) {
  const auto generate = input.model->abilities().generate;
  const auto decode = input.processor->decode;
  if (!generate || !decode) refuse("caption", "a model that writes; got another");
  Reading reading = prompts_of(input, "caption", /*questions=*/false);
  CaptionScores scores;
  double words = 0;
  reading.finish = [&](std::vector<Outcome>& outcomes) {
    const std::vector<std::string> captions = captions_of(outcomes);
    scores = scored(outcomes, captions);
    words = mean_words(captions);
    add_scores(outcomes, scores);
  };
  outcomes_of(
      input, "caption",
      [&](const Batch& batch, const Rows& rows) {
        std::vector<std::string> captions;
        for (const auto& ids : generate(batch, models::keyed_by(input.generate, batch.positions))) {
          captions.push_back(decode(ids));
        }
        return told(captions, rows);
      },
      reading);
  Metrics metrics;
  for (std::size_t n = 0; n < scores.bleu.size(); ++n) {
    metrics.emplace_back("bleu" + std::to_string(n + 1), scores.bleu[n]);
  }
  metrics.emplace_back("rouge_l", scores.rouge_l);
  metrics.emplace_back("cider", scores.cider);
  metrics.emplace_back("words", words);
  return metrics;
}

Metrics vqa(const Input& input) {
  const std::string way = way_of(input);
  if (way == "closed") return closed_answers(input);
  const std::vector<Outcome> outcomes =
      outcomes_of(input, "vqa", way == "ranked" ? ranker(input) : writer(input),
                  prompts_of(input, "vqa", /*questions=*/true));
  Metrics metrics;
  add_means(metrics, "accuracy", outcomes, 0);
  add_means(metrics, "exact", outcomes, 1);
  add_means(metrics, "relaxed", outcomes, 2);
  add_means(metrics, "anls", outcomes, 3);
  return metrics;
}

}  // namespace tandem::eval
