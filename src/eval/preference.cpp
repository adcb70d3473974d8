#include "eval/preference.h"

#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "eval/each.h"
#include "tandem/base/error.h"

namespace tandem::eval {
namespace {

// Of sums of fp32 numbers: what differs by less than this share of their sizes is equal.
constexpr double rounding_share = 2e-6;

// Places of an outcome's values; those from reward_right on need a reference.
struct Place {
  static constexpr std::size_t right = 0, margin = 1, reward_right = 2, reward_margin = 3,
                               divergence = 4, tokens = 5;
};

// 1, 1/2 for a tie, 0.
double above_zero(double difference, double size) {
  if (!std::isfinite(difference)) return 0;
  if (std::abs(difference) <= rounding_share * size) return 0.5;
  return difference > 0 ? 1 : 0;
}

// numbers: chosen, rejected, and with a reference its two, the divergence and the tokens.
std::vector<double> values_of(const std::vector<double>& numbers, double beta) {
  const double apart = numbers[0] - numbers[1];
  double size = std::abs(numbers[0]) + std::abs(numbers[1]);
  if (!std::isfinite(apart)) return {0};
  std::vector<double> values{above_zero(apart, size), apart};
  if (numbers.size() == 2) return values;
  const double moved = apart - (numbers[2] - numbers[3]);
  size += std::abs(numbers[2]) + std::abs(numbers[3]);
  if (!std::isfinite(moved) || !std::isfinite(numbers[4])) return values;
  values.insert(values.end(), {above_zero(moved, size), beta * moved, numbers[4], numbers[5]});
  return values;
}

// A row each: [B][numbers].
std::vector<std::vector<double>> numbers_of(const models::Preferred& made) {
  std::vector<at::Tensor> columns{made.chosen, made.rejected};
  if (made.reference_chosen.defined()) {
    columns.insert(columns.end(),
                   {made.reference_chosen, made.reference_rejected, made.divergence, made.tokens});
  }
  for (at::Tensor& column : columns) column = column.to(at::kCPU, at::kDouble);
  const at::Tensor table = at::stack(columns, 1).contiguous();  // [B, numbers]
  const auto* at = table.const_data_ptr<double>();
  const auto width = static_cast<std::int64_t>(columns.size());
  std::vector<std::vector<double>> rows;
  for (std::int64_t row = 0; row < table.size(0); ++row, at += width)
    rows.emplace_back(at, at + width);
  return rows;
}

std::string said(const data::Turn& turn) {
  std::string words;
  for (const text::Part& part : turn.parts) {
    if (!part.text.empty()) words += (words.empty() ? "" : " ") + part.text;
  }
  return words;
}

Outcome judged_pair(const data::Sample& sample, const std::vector<double>& numbers, double beta) {
  const auto prompt = static_cast<std::size_t>(std::max<std::int64_t>(sample.prompt_turns, 1));
  if (sample.rejected.empty() || sample.turns.size() <= prompt) {
    throw Error(ErrorKind::config, "[preference] expected a preferred answer and a rejected one",
                sample.id);
  }
  Outcome outcome;
  outcome.values = values_of(numbers, beta);
  outcome.query.text = said(sample.turns[prompt - 1]);
  const auto told = [](double score) { return std::isfinite(score) ? score : 0; };
  outcome.query.answers = {
      {.text = said(sample.turns[prompt]), .score = told(numbers[0]), .right = true},
      {.text = said(sample.rejected.front()), .score = told(numbers[1])}};
  if (numbers[1] > numbers[0]) std::swap(outcome.query.answers[0], outcome.query.answers[1]);
  return outcome;
}

double mean_of(const std::vector<Outcome>& outcomes, std::size_t place) {
  double sum = 0;
  for (const Outcome& one : outcomes) sum += one.values[place];
  return sum / static_cast<double>(outcomes.size());
}

std::vector<Outcome> with_values(const std::vector<Outcome>& outcomes, std::size_t count) {
  std::vector<Outcome> kept;
  std::copy_if(outcomes.begin(), outcomes.end(), std::back_inserter(kept),
               [count](const Outcome& one) { return one.values.size() >= count; });
  return kept;
}

}  // namespace

Metrics preference(const Input& input) {
  const auto prefer = input.model->abilities().prefer;
  if (!prefer || !input.processor->prepare) {
    throw Error(ErrorKind::config,
                "[preference] expected a model that tells how likely answers are; got another",
                "eval.tasks");
  }
  const std::vector<Outcome> outcomes = outcomes_of(
      input, "preference", [&](const Batch& batch, const std::vector<const Judged*>& rows) {
        if (!batch.rejected) {
          throw Error(ErrorKind::config,
                      "[preference] expected samples with a rejected answer; got others",
                      "eval.tasks", "a source of preferences (docs/data.md)");
        }
        const models::Preferred made = prefer(batch);
        const std::vector<std::vector<double>> numbers = numbers_of(made);
        std::vector<Outcome> found(rows.size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
          if (rows[i] != nullptr) found[i] = judged_pair(rows[i]->sample, numbers.at(i), made.beta);
        }
        return found;
      });
  Metrics metrics;
  add_means(metrics, "accuracy", outcomes, Place::right);
  const std::vector<Outcome> numbered = with_values(outcomes, Place::reward_right);
  if (!numbered.empty()) metrics.emplace_back("margin", mean_of(numbered, Place::margin));
  const std::vector<Outcome> compared = with_values(outcomes, Place::tokens + 1);
  if (compared.empty()) return metrics;
  metrics.emplace_back("reward_accuracy", mean_of(compared, Place::reward_right));
  metrics.emplace_back("reward_margin", mean_of(compared, Place::reward_margin));
  metrics.emplace_back("kl",
                       mean_of(compared, Place::divergence) / mean_of(compared, Place::tokens));
  return metrics;
}

}  // namespace tandem::eval
