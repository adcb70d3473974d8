#include "eval/grounding.h"

#include <ATen/ops/upsample_bicubic2d.h>

#include "eval/each.h"
#include "eval/metrics/boxes.h"
#include "tandem/base/error.h"

namespace tandem::eval {
namespace {

HeatMap heat_of(const at::Tensor& map) {
  const at::Tensor values = map.contiguous();
  const auto* first = values.const_data_ptr<float>();
  return {values.size(0), values.size(1), {first, first + values.numel()}};
}

at::Tensor resized(const at::Tensor& map, std::int64_t height, std::int64_t width) {
  const at::Tensor batch = map.unsqueeze(0).unsqueeze(0);
  return at::upsample_bicubic2d(batch, {height, width}, /*align_corners=*/false)[0][0];
}

bool right(const data::Sample& sample, std::int64_t chosen) {
  if (sample.label >= 0) return chosen == sample.label;
  return iou(sample.boxes[0], sample.proposals[static_cast<std::size_t>(chosen)],
             Overlap::pixels) >= 0.5;
}

// Values: pointing; with proposals also the accuracy and the chance.
Outcome judged(const at::Tensor& map, const Judged& row) {
  const data::Sample& sample = row.sample;
  if (sample.boxes.empty() || row.sizes.empty()) {
    throw Error(ErrorKind::config, "[grounding] expected a picture with a box; got none",
                sample.id);
  }
  const auto [height, width] = row.sizes[0];
  const bool points = points_at(heat_of(map), static_cast<double>(width),
                                static_cast<double>(height), sample.boxes[0]);
  Outcome outcome{.values = {points ? 1.0 : 0.0}};
  outcome.query.text = sample.texts.empty() ? std::string() : sample.texts.front();
  if (sample.proposals.empty()) return outcome;
  const bool number = map.isfinite().all().item<bool>();
  const std::int64_t chosen =
      number ? hottest_box(heat_of(resized(map, height, width)), sample.proposals) : -1;
  const bool found = chosen >= 0 && right(sample, chosen);
  outcome.values.push_back(found ? 1 : 0);
  outcome.values.push_back(1 / static_cast<double>(sample.proposals.size()));
  outcome.query.answers.push_back({.text = "box " + std::to_string(chosen), .right = found});
  return outcome;
}

}  // namespace

Metrics grounding(const Input& input) {
  const auto locate = input.model->abilities().locate;
  if (!locate || !input.processor->prepare) {
    throw Error(ErrorKind::config,
                "[grounding] expected a model that says where it looks; got one that does not",
                "eval.tasks");
  }
  const std::vector<Outcome> outcomes = outcomes_of(
      input, "grounding", [&](const Batch& batch, const std::vector<const Judged*>& rows) {
        const at::Tensor maps = locate(batch).to(at::kCPU, at::kFloat);  // [B, h, w]
        std::vector<Outcome> found(rows.size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
          if (rows[i] != nullptr) found[i] = judged(maps[static_cast<std::int64_t>(i)], *rows[i]);
        }
        return found;
      });
  Metrics metrics;
  add_means(metrics, "pointing", outcomes, 0);
  std::vector<Outcome> proposed;
  for (const Outcome& one : outcomes) {
    if (one.values.size() > 1) proposed.push_back(one);
  }
  if (proposed.empty()) return metrics;
  add_means(metrics, "accuracy", proposed, 1);
  double chance = 0;
  for (const Outcome& one : proposed) chance += one.values[2];
  metrics.emplace_back("chance", chance / static_cast<double>(proposed.size()));
  return metrics;
}

}  // namespace tandem::eval
