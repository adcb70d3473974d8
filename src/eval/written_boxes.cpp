#include "eval/written_boxes.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "eval/each.h"
#include "eval/metrics/boxes.h"
#include "eval/metrics/replies.h"
#include "tandem/base/error.h"
#include "tandem/text/boxes.h"

namespace tandem::eval {
namespace {

constexpr std::int64_t most_tokens = 64;  // a phrase and its box, in a small vocabulary
constexpr double thousandths = 1000;

// Height and width of a row's only picture as the model sees it; zeros: nobody says.
std::array<double, 2> seen_size(const Batch& batch, std::size_t row) {
  if (!batch.patches || batch.patches->grid_thw.size(0) != batch.size()) return {0, 0};
  const double numbers = static_cast<double>(batch.patches->patches.size(1));
  const double side = std::round(std::sqrt(numbers / 6));  // two frames of three colours
  const at::Tensor grid = batch.patches->grid_thw[static_cast<std::int64_t>(row)];
  return {side * grid[1].item<double>(), side * grid[2].item<double>()};
}

Outcome judged(const std::string& reply, const Judged& row, const std::array<double, 2>& seen) {
  const data::Sample& sample = row.sample;
  if (sample.boxes.empty() || row.sizes.empty()) {
    throw Error(ErrorKind::config, "[boxes] expected a picture with a box; got none", sample.id);
  }
  const auto height = static_cast<double>(row.sizes[0][0]);
  const auto width = static_cast<double>(row.sizes[0][1]);
  const bool json = seen[0] > 0 && !text::json_boxes(reply).empty();
  const data::Box box = json ? absolute_box(reply, width, height, seen[1], seen[0])
                             : relative_box(reply, width, height, thousandths);
  const double overlap = iou(box, sample.boxes[0]);
  Outcome outcome{.values = {overlap >= 0.5 ? 1.0 : 0.0, overlap}};
  outcome.query.text = sample.texts.empty() ? std::string() : sample.texts.front();
  outcome.query.answers.push_back({.text = reply, .score = overlap, .right = overlap >= 0.5});
  return outcome;
}

Reading prompts(const Input& input) {
  const auto prompt = input.processor->prompt;
  if (!prompt) {
    throw Error(ErrorKind::config, "[boxes] expected a model that reads prompts; got another",
                "eval.tasks");
  }
  Reading reading;
  reading.padding = input.processor->prompt_padding;
  reading.prepare = [prompt, words = input.prompt](const data::Sample& sample, Key, bool) {
    return prompt(sample, words);
  };
  return reading;
}

}  // namespace

Metrics written_boxes(const Input& input) {
  const auto generate = input.model->abilities().generate;
  const auto decode = input.processor->decode;
  if (!generate || !decode) {
    throw Error(ErrorKind::config, "[boxes] expected a model that writes; got another",
                "eval.tasks");
  }
  models::GenerateOptions options = input.generate;
  options.max_length = std::max(options.max_length, most_tokens);
  const auto judge = [&](const Batch& batch, const std::vector<const Judged*>& rows) {
    const auto replies = generate(batch, options);
    std::vector<Outcome> found(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] != nullptr) {
        found[i] = judged(decode(replies[i]), *rows[i], seen_size(batch, i));
      }
    }
    return found;
  };
  const std::vector<Outcome> outcomes = outcomes_of(input, "boxes", judge, prompts(input));
  Metrics metrics;
  add_means(metrics, "accuracy", outcomes, 0);
  add_means(metrics, "iou", outcomes, 1);
  return metrics;
}

}  // namespace tandem::eval
