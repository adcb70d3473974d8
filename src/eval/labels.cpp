#include "eval/labels.h"

#include <ATen/ops/topk.h>

#include <algorithm>
#include <cmath>

#include "eval/each.h"
#include "eval/metrics/classes.h"
#include "tandem/base/error.h"

namespace tandem::eval {
namespace {

constexpr std::int64_t shown_answers = 5;

struct Choice {
  std::int64_t label = -1;     // -1: none
  std::vector<Answer> best{};  // the first few, by their probability
};

std::string name_of(const std::vector<std::string>& names, std::int64_t label) {
  const auto at = static_cast<std::size_t>(label);
  return at < names.size() ? names[at] : std::to_string(label);
}

// Of each row of the logits [B, C].
std::vector<Choice> choices_of(const at::Tensor& given, const std::vector<std::string>& names) {
  TANDEM_CHECK(given.dim() == 2 && given.size(1) > 0, "[eval] expected logits [B, C]");
  const at::Tensor logits = given.to(at::kCPU, at::kFloat);
  const at::Tensor number = logits.isfinite().all(1);
  const std::int64_t k = std::min(shown_answers, logits.size(1));
  const auto [high, labels] = logits.topk(k, 1);
  const at::Tensor shares = logits.softmax(1).gather(1, labels).contiguous();
  std::vector<Choice> choices(static_cast<std::size_t>(logits.size(0)));
  for (std::int64_t row = 0; row < logits.size(0); ++row) {
    Choice& choice = choices[static_cast<std::size_t>(row)];
    if (!number[row].item<bool>()) continue;
    const bool alone = k < 2 || high[row][0].item<float>() > high[row][1].item<float>();
    if (alone) choice.label = labels[row][0].item<std::int64_t>();
    for (std::int64_t i = 0; i < k; ++i) {
      choice.best.push_back({.text = name_of(names, labels[row][i].item<std::int64_t>()),
                             .score = shares[row][i].item<double>()});
    }
  }
  return choices;
}

std::function<at::Tensor(const Batch&)> classifier(const Input& input, const std::string& task) {
  const auto classify = input.model->abilities().classify;
  if (!classify || !input.processor->prepare) {
    throw Error(ErrorKind::config,
                "[" + task + "] expected a model with a head for it; got one without",
                "eval.tasks");
  }
  return classify;
}

[[noreturn]] void refuse(const std::string& task, const std::string& expected,
                         const data::Sample& sample) {
  throw Error(ErrorKind::config,
              "[" + task + "] expected " + expected + "; got label " + std::to_string(sample.label),
              sample.id);
}

// What an answer is worth.
double worth(const data::Sample& sample, std::int64_t label) {
  if (label < 0) return 0;
  if (sample.answers.empty()) return sample.label == label ? 1 : 0;
  for (const data::Answer& one : sample.answers) {
    if (one.label == label) return one.score;
  }
  return 0;
}

// Values of each: its worth, its label, the answer's label.
std::vector<Outcome> judged(const std::string& task, const std::vector<std::string>& names,
                            bool closed, const std::vector<Choice>& choices,
                            const std::vector<const Judged*>& rows) {
  std::vector<Outcome> outcomes(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == nullptr) continue;
    const data::Sample& sample = rows[i]->sample;
    const auto classes = static_cast<std::int64_t>(names.size());
    if (closed && (sample.label < 0 || sample.label >= classes)) {
      refuse(task, "a label below " + std::to_string(classes), sample);
    }
    if (!closed && sample.question.empty()) refuse(task, "a question", sample);
    const Choice& choice = choices[i];
    outcomes[i].values = {worth(sample, choice.label), static_cast<double>(sample.label),
                          static_cast<double>(choice.label)};
    Query& query = outcomes[i].query;
    query.text =
        !sample.question.empty() || sample.texts.empty() ? sample.question : sample.texts.front();
    query.answers = choice.best;
    const std::string right = sample.label < 0 ? sample.answer : name_of(names, sample.label);
    if (!right.empty()) query.text += " (" + right + ")";
    for (std::size_t a = 0; a < query.answers.size(); ++a) {
      query.answers[a].right = query.answers[a].text == right;
    }
  }
  return outcomes;
}

std::vector<Outcome> answered(const Input& input, const std::string& task,
                              const std::vector<std::string>& names, bool closed) {
  const auto classify = classifier(input, task);
  return outcomes_of(input, task, [&](const Batch& batch, const std::vector<const Judged*>& rows) {
    return judged(task, names, closed, choices_of(classify(batch), names), rows);
  });
}

Metrics by_label(const Input& input, const std::string& task,
                 const std::vector<std::string>& names) {
  const std::vector<Outcome> outcomes = answered(input, task, names, /*closed=*/true);
  Metrics metrics;
  add_means(metrics, "accuracy", outcomes, 0);
  std::vector<std::int64_t> labels, answers;
  for (const Outcome& one : outcomes) {
    labels.push_back(static_cast<std::int64_t>(one.values[1]));
    answers.push_back(static_cast<std::int64_t>(one.values[2]));
  }
  const ClassAccuracy classes =
      class_accuracy(labels, answers, static_cast<std::int64_t>(names.size()));
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (classes.count[c] > 0) metrics.emplace_back("label." + names[c], classes.each[c]);
  }
  metrics.emplace_back("mean_per_label", classes.mean_per_class);
  return metrics;
}

}  // namespace

Metrics closed_answers(const Input& input) {
  const std::vector<Outcome> outcomes =
      answered(input, "vqa", input.source->answers(), /*closed=*/false);
  Metrics metrics;
  add_means(metrics, "accuracy", outcomes, 0);
  return metrics;
}

Metrics nlvr2(const Input& input) { return by_label(input, "nlvr2", {"false", "true"}); }

Metrics entailment(const Input& input) {
  return by_label(input, "ve", {"contradiction", "neutral", "entailment"});
}

}  // namespace tandem::eval
