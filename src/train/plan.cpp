// What a run will do, before it does it: the plan that `tandem check` prints.

#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/train/experiment.h"
#include "tandem/train/optimizer.h"
#include "tandem/train/rules.h"
#include "tandem/train/run.h"
#include "tandem/train/schedule.h"

namespace tandem::train {
namespace {

std::string megabytes(std::int64_t bytes) {
  return std::to_string((bytes + (std::int64_t{1} << 20) - 1) >> 20) + " MiB";
}

// Weights, gradients and optimizer state are exact; activations are measured by nobody here.
std::string memory_line(const std::vector<ResolvedParameter>& resolved) {
  std::int64_t weights = 0, gradients = 0;
  for (const ResolvedParameter& one : resolved) {
    weights += 4 * one.elements;
    gradients += one.trained ? 4 * one.elements : 0;
  }
  const std::int64_t state = Optimizer::state_bytes(resolved);
  return "  memory of a rank, without activations: " + megabytes(weights + gradients + state) +
         " (weights " + megabytes(weights) + ", gradients " + megabytes(gradients) +
         ", optimizer " + megabytes(state) + ")\n";
}

std::string stage_plan(const config::RunConfig& config, std::size_t index, const SourceMap& sources,
                       const Parts& parts, int ranks) {
  const config::StageConfig& stage = config.stages[index];
  const auto resolved = resolve_rules(stage, parts.model->parameters());
  const StageData data = stage_data(config, index, sources);
  const std::int64_t steps = total_steps(stage, data.order.epoch_size());
  const std::int64_t share = std::max<std::int64_t>(1, stage.data.batch / ranks);
  const std::int64_t micro =
      stage.data.micro_batch > 0 ? std::min(stage.data.micro_batch, share) : share;
  std::string losses;
  for (const auto& [name, weight] : stage.losses) losses += (losses.empty() ? "" : " + ") + name;
  std::string text = "stage " + stage.name + ": " + losses + "\n" + rules_table(stage, resolved);
  for (std::size_t i = 0; i < data.sources.size(); ++i) {
    text += "  source of " + std::to_string(data.sources[i]->size()) + " samples\n";
  }
  text += "  " + std::to_string(steps) + " steps of " + std::to_string(stage.data.batch) +
          " samples = " + std::to_string(ranks) + " ranks x " +
          std::to_string((share + micro - 1) / micro) + " micro-batches x " +
          std::to_string(micro) + "; " + std::to_string(steps * stage.data.batch) + " samples, " +
          std::to_string(static_cast<double>(steps * stage.data.batch) /
                         static_cast<double>(data.order.epoch_size())) +
          " epochs\n";
  return text + memory_line(resolved);
}

}  // namespace

std::string plan(const config::RunConfig& config, int ranks) {
  const SourceMap sources = open_sources(config);
  const Parts parts = make_parts(config, make_tokenizer(config, sources, {}));
  std::string text = "run " + config.name + ": " + config.model.family + ", vocabulary of " +
                     std::to_string(parts.tokenizer->vocab_size()) + "\n";
  check_stages(config, *parts.model, ranks);
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    text += stage_plan(config, i, sources, parts, ranks);
  }
  return text;
}

}  // namespace tandem::train
