#include "train/filling.h"

#include <cstdio>

namespace tandem::train {
namespace {

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::string percent(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * value);
  return text;
}

}  // namespace

StepFilling& StepFilling::operator+=(const StepFilling& other) {
  tokens += other.tokens;
  padding += other.padding;
  micro_batches += other.micro_batches;
  return *this;
}

std::vector<std::pair<std::string, double>> numbers_of(const StepFilling& filling) {
  if (filling.tokens == 0) return {};
  return {{"tokens", static_cast<double>(filling.tokens)},
          {"padding", share(filling.padding, filling.tokens + filling.padding)}};
}

std::string filling_line(const config::StageConfig& stage, const StepFilling& filling) {
  if (filling.tokens == 0) return {};
  std::string text = "stage " + stage.name + ": " + std::to_string(filling.tokens) +
                     " tokens in micro-batches, padding " +
                     percent(share(filling.padding, filling.tokens + filling.padding));
  if (stage.data.max_tokens == 0) return text;
  return text + "; " + std::to_string(filling.micro_batches) + " packs of at most " +
         std::to_string(stage.data.max_tokens) + " tokens, " +
         percent(share(filling.tokens, filling.micro_batches * stage.data.max_tokens)) + " full";
}

}  // namespace tandem::train
