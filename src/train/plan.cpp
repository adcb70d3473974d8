// What a run will do, before it does it: the plan that `tandem check` prints.

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>

#include "tandem/base/error.h"
#include "tandem/data/others.h"
#include "tandem/models/contrast_columns.h"
#include "tandem/tensor/batch.h"
#include "tandem/text/kinds.h"
#include "tandem/train/experiment.h"
#include "tandem/train/optimizer.h"
#include "tandem/train/rules.h"
#include "tandem/train/run.h"
#include "tandem/train/schedule.h"
#include "train/kept_features.h"
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
      const data::Source& source = *data.sources[static_cast<std::size_t>(place.source)];
      data::Sample sample = source.read(place.index);
      sample.others = data::texts_of_others(source, sample, parts.processor.others, Key(0));
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
  std::string why = "no sample could be read";  // they are not known
};

constexpr std::int64_t most_measured = std::int64_t{1} << 25;  // weights that are made for it

void attach_for_plan(const config::StageConfig& stage, models::Model& model) {
  models::attach_adapters(model, adapters_of(stage, models::linear_layers(model)), Key(0));
}

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
  if (stage.data.max_tokens > 0 && example->text) {  // a pack of such samples
    micro = std::max<std::int64_t>(1, stage.data.max_tokens / example->text->ids.size(1));
  }
  const Held one = held_by(parts, settings, *example, 1),
             two = held_by(parts, settings, *example, 2);
  return {.kept = one.kept + (micro - 1) * (two.kept - one.kept),
          .peak = one.peak + (micro - 1) * (two.peak - one.peak),
          .known = true};
}

std::int64_t bytes_of_buffers(const models::Model& model) {
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : model.buffers()) {
    bytes += tensor.numel() * static_cast<std::int64_t>(tensor.element_size());
  }
  return bytes;
}

// Weights, gradients, averages, optimizer state and buffers (momentum copies, queues) are exact;
// activations are estimated.
std::string memory_line(const config::RunConfig& config, const config::StageConfig& stage,
                        const std::vector<ResolvedParameter>& resolved, std::int64_t buffers,
                        const Activations& activations) {
  std::int64_t weights = 0, gradients = 0;
  for (const ResolvedParameter& one : resolved) {
    weights += 4 * one.elements;
    gradients += one.trained ? 4 * one.elements : 0;
  }
  const std::int64_t state = Optimizer::state_bytes(resolved);
  const std::int64_t average = config::ema_of(config, stage).decay > 0 ? gradients : 0;
  const std::int64_t sum = weights + gradients + state + average + buffers + activations.peak;
  std::string text = "  memory of a rank, about " + megabytes(sum) + ": weights " +
                     megabytes(weights) + ", gradients " + megabytes(gradients) + ", optimizer " +
                     megabytes(state);
  if (average > 0) text += ", averages " + megabytes(average);
  if (buffers > 0) text += ", buffers " + megabytes(buffers);
  if (!activations.known) return text + "; activations are not known: " + activations.why + "\n";
  return text + ", activations " + megabytes(activations.peak) + " (" +
         megabytes(activations.kept) +
         " kept for backward)\n    activations: measured on the CPU in a forward pass of one and "
         "of "
         "two copies of the\n    largest of the first 16 samples, and extended to the " +
         (stage.data.max_tokens > 0 ? "pack\n" : "micro-batch\n");
}

bool is_there(const PlanInput& input, const config::StageConfig& stage) {
  for (const std::string& name : sources_of(input.loaded.config, stage)) {
    if (!input.sources.contains(name)) return false;
  }
  return true;
}

// Samples per step, ranks and micro-batches.
std::string batch_line(const config::StageConfig& stage, std::int64_t micro, int ranks) {
  if (stage.data.max_tokens > 0) {
    return std::to_string(stage.data.batch) + " samples = " + std::to_string(ranks) +
           " ranks x packs of at most " + std::to_string(stage.data.max_tokens) + " tokens";
  }
  const std::int64_t share = std::max<std::int64_t>(1, stage.data.batch / ranks);
  return std::to_string(stage.data.batch) + " samples = " + std::to_string(ranks) + " ranks x " +
         std::to_string((share + micro - 1) / micro) + " micro-batches x " + std::to_string(micro);
}

// Where a contrast sees less than the step's samples.
std::string columns_line(const config::StageConfig& stage, const models::Model& model,
                         std::int64_t micro, int ranks) {
  const auto* own = dynamic_cast<const models::ContrastsMicroBatches*>(&model);
  const std::int64_t columns = micro * ranks;
  if (own == nullptr || !own->sees_all_ranks() || columns >= stage.data.batch) return {};
  const std::vector<std::string> compared = own->losses_of_micro_batch();
  std::string names;
  for (const auto& [name, weight] : stage.losses) {
    const bool is_one = std::find(compared.begin(), compared.end(), name) != compared.end();
    if (is_one) names += (names.empty() ? "" : ", ") + name;
  }
  if (names.empty()) return {};
  return "  " + names + " tell a pair from the " + std::to_string(columns) +
         " of one micro-batch on all ranks, not from the step's " +
         std::to_string(stage.data.batch) + "\n";
}

// data: null where a source is absent.
std::string steps_line(const config::StageConfig& stage, const StageData* data,
                       const std::string& batch) {
  if (data == nullptr && stage.until.epochs > 0) {
    return "  " + std::to_string(stage.until.epochs) + " epochs of unknown length, in steps of " +
           batch + "\n";
  }
  const std::int64_t epoch = data != nullptr ? data->order.epoch_size() : 1;
  const std::int64_t steps = total_steps(stage, epoch);
  const std::int64_t samples = steps * stage.data.batch;
  std::string text = "  " + std::to_string(steps) + " steps of " + batch + "; " +
                     std::to_string(samples) + " samples";
  if (data != nullptr) {
    text += ", " + std::to_string(static_cast<double>(samples) / static_cast<double>(epoch)) +
            " epochs";
  }
  return text + "\n";
}

// A pass on the CPU, with weights that are made for it.
Activations measured(const PlanInput& input, std::size_t index, const StageData& data,
                     const std::vector<ResolvedParameter>& resolved, std::int64_t micro) {
  const config::RunConfig& config = input.loaded.config;
  std::int64_t elements = 0;
  for (const ResolvedParameter& one : resolved) elements += one.elements;
  if (elements > most_measured) return {.why = "the weights are too many to be made for it"};
  const Parts parts = make_parts(config, index, input.tokenizer, input.sources);
  attach_for_plan(config.stages[index], *parts.model);
  const NamedTensors parameters = parts.model->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor(parameters[i].second).set_requires_grad(resolved[i].trained);
  }
  return activations_of(config, index, data, parts, micro);
}

std::string stage_plan(const PlanInput& input, std::size_t index, int ranks) {
  const config::RunConfig& config = input.loaded.config;
  const config::StageConfig& stage = config.stages[index];
  const Parts parts = make_parts(config, index, input.tokenizer, input.sources, /*outline=*/true);
  attach_for_plan(stage, *parts.model);
  const auto resolved = resolve_rules(stage, parts.model->parameters());
  const std::int64_t micro = config::micro_batch_of(stage.data, ranks);
  std::string losses;
  for (const auto& [name, weight] : stage.losses) losses += (losses.empty() ? "" : " + ") + name;
  std::string text = "stage " + stage.name + ": " + losses + "\n";
  if (!stage.init.empty()) text += "  begins with the weights of " + stage.init + "\n";
  text += rules_table(stage, resolved);
  std::optional<StageData> data;
  if (is_there(input, stage)) data.emplace(stage_data(config, index, input.sources));
  for (const std::string& name : sources_of(config, stage)) {
    const auto found = input.sources.find(name);
    text += found == input.sources.end()
                ? "  source " + name + " is not here\n"
                : "  source of " + std::to_string(found->second->size()) + " samples\n";
  }
  text += steps_line(stage, data ? &*data : nullptr, batch_line(stage, micro, ranks));
  text += columns_line(stage, *parts.model, micro, ranks);
  text += cache_line(config, stage, *parts.model, input.sources);
  Activations activations{.why = "its samples are not here"};
  if (data) activations = measured(input, index, *data, resolved, micro);
  return text + memory_line(config, stage, resolved, bytes_of_buffers(*parts.model), activations);
}

// The config's own; else one of the size that the family's best known one has.
std::shared_ptr<const text::Tokenizer> tokenizer_for_plan(const config::RunConfig& config,
                                                          PlanInput& input) {
  std::vector<std::string>& absent = input.absent;
  try {
    return std::make_shared<const text::Tokenizer>(make_tokenizer(config, input.sources, {}));
  } catch (const Error& error) {
    // One that is there and broken is no matter of what is missing.
    if (error.kind() == ErrorKind::data && absent.empty()) throw;
    const std::string& kind = models::family(config.model.family).vocabulary;
    auto made = std::make_shared<const text::Tokenizer>(text::stand_in_tokenizer(kind));
    input.stand_in = true;
    absent.push_back("the tokenizer (" + error.message() + "); planned with a vocabulary of " +
                     std::to_string(made->vocab_size()));
    return made;
  }
}

}  // namespace

PlanInput open_for_plan(const config::Loaded& loaded) {
  PlanInput input{.loaded = loaded, .sources = {}, .absent = loaded.absent, .tokenizer = {}};
  input.sources = open_sources(loaded.config, [&](const std::string& name, const Error& error) {
    input.absent.push_back("data.sources." + name + ": " + error.what());
  });
  input.tokenizer = tokenizer_for_plan(loaded.config, input);
  return input;
}

namespace {

std::string job_plan(const PlanInput& input, const config::StageConfig& stage) {
  std::string text = "stage " + stage.name + ": job " + stage.job.task + "\n";
  for (const std::string& name : stage.job.inputs) {
    const auto source = input.sources.find(name);
    text += "  of " + name +
            (source == input.sources.end()
                 ? ", which is not here yet\n"
                 : ", " + std::to_string(source->second->size()) + " samples\n");
  }
  return text;
}

}  // namespace

std::string plan(const PlanInput& input, int ranks) {
  const config::RunConfig& config = input.loaded.config;
  std::string text = "run " + config.name + ": " + config.model.family + ", vocabulary of " +
                     std::to_string(input.tokenizer->vocab_size()) + "\n";
  for (const std::string& one : input.absent) text += "not here: " + one + "\n";
  check_stages(config, outlines(config, input.tokenizer, input.sources), input.sources, ranks);
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const config::StageConfig& stage = config.stages[i];
    text += stage.kind == "job" ? job_plan(input, stage) : stage_plan(input, i, ranks);
  }
  return text;
}

}  // namespace tandem::train
