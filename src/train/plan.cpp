// What a run will do, before it does it: the plan that `tandem check` prints.

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>

#include "tandem/base/error.h"
#include "tandem/tensor/batch.h"
#include "tandem/train/experiment.h"
#include "tandem/train/optimizer.h"
#include "tandem/train/rules.h"
#include "tandem/train/run.h"
#include "tandem/train/schedule.h"
#include "train/memory.h"
#include "train/step.h"

namespace tandem::train {
namespace {

std::string megabytes(std::int64_t bytes) {
  return std::to_string((bytes + (std::int64_t{1} << 20) - 1) >> 20) + " MiB";
}

// What a forward pass of `size` equal samples keeps, and its peak.
Held held_by(const Parts& parts, const StepSettings& settings, const Batch& example,
             std::size_t size) {
  const Batch batch = collate(std::vector<Batch>(size, example), parts.processor.pad_id);
  return measure_held([&]() -> std::shared_ptr<void> {
    return std::make_shared<at::Tensor>(forward_once(*parts.model, batch, settings, Key(0)));
  });
}

// The largest of the stage's first samples: texts are padded to the longest of a batch.
std::optional<Batch> largest_example(const StageData& data, const Parts& parts) {
  constexpr std::int64_t tried = 16;
  std::optional<Batch> largest;
  for (std::int64_t position = 0; position < tried; ++position) {
    try {
      const data::Place place = data.order.at(position);
      const data::Sample sample =
          data.sources[static_cast<std::size_t>(place.source)]->read(place.index);
      Batch example = parts.processor.prepare(sample, Key(0), /*train=*/true);
      example.positions = {position};
      if (!example.picture_ids.defined()) example.picture_ids = at::zeros({1}, at::kLong);
      if (!largest || bytes_of(example) > bytes_of(*largest)) largest = std::move(example);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;  // training replaces it
    }
  }
  return largest;
}

struct Activations {
  std::int64_t kept = 0, peak = 0;
  bool known = false;
};

// A forward pass of one sample and of two, on the CPU, and the line through both: a part of what is
// kept does not grow with the batch.
Activations activations_of(const config::RunConfig& config, std::size_t index,
                           const StageData& data, const Parts& parts, std::int64_t micro) {
  const config::StageConfig& stage = config.stages[index];
  const std::optional<Batch> example = largest_example(data, parts);
  if (!example) return {};
  static const dist::Mesh alone;
  StepSettings settings;
  settings.request = loss_request(stage);
  settings.mesh = &alone;
  settings.bf16 = config.precision == "bf16";
  settings.recompute = config.recompute;
  parts.model->train(true);
  const Held one = held_by(parts, settings, *example, 1),
             two = held_by(parts, settings, *example, 2);
  return {.kept = one.kept + (micro - 1) * (two.kept - one.kept),
          .peak = one.peak + (micro - 1) * (two.peak - one.peak),
          .known = true};
}

// Weights, gradients, averages and optimizer state are exact; activations are estimated.
std::string memory_line(const config::RunConfig& config, const config::StageConfig& stage,
                        const std::vector<ResolvedParameter>& resolved,
                        const Activations& activations) {
  std::int64_t weights = 0, gradients = 0;
  for (const ResolvedParameter& one : resolved) {
    weights += 4 * one.elements;
    gradients += one.trained ? 4 * one.elements : 0;
  }
  const std::int64_t state = Optimizer::state_bytes(resolved);
  const std::int64_t average = config::ema_of(config, stage).decay > 0 ? gradients : 0;
  const std::int64_t sum = weights + gradients + state + average + activations.peak;
  std::string text = "  memory of a rank, about " + megabytes(sum) + ": weights " +
                     megabytes(weights) + ", gradients " + megabytes(gradients) + ", optimizer " +
                     megabytes(state);
  if (average > 0) text += ", averages " + megabytes(average);
  if (!activations.known) return text + "; activations are not known: no sample could be read\n";
  return text + ", activations " + megabytes(activations.peak) + " (" +
         megabytes(activations.kept) +
         " kept for backward)\n    activations: measured on the CPU in a forward pass of one and "
         "of "
         "two copies of the\n    largest of the first 16 samples, and extended to the "
         "micro-batch\n";
}

std::string stage_plan(const config::RunConfig& config, std::size_t index, const SourceMap& sources,
                       const Parts& parts, int ranks) {
  const config::StageConfig& stage = config.stages[index];
  models::merge_adapters(*parts.model);  // of the stage before
  models::attach_adapters(*parts.model, adapters_of(stage, models::linear_layers(*parts.model)),
                          Key(0));
  NamedTensors parameters = parts.model->parameters();
  const auto resolved = resolve_rules(stage, parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].second.set_requires_grad(resolved[i].trained);
  }
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
  return text +
         memory_line(config, stage, resolved, activations_of(config, index, data, parts, micro));
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
