// A config against the models of its stages, before anything is trained.

#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/models/visual_codes.h"
#include "tandem/train/experiment.h"
#include "tandem/train/measure.h"
#include "tandem/train/rules.h"
#include "train/kept_features.h"

namespace tandem::train {
namespace {

using Found = std::vector<std::string>;  // behind "stages.NAME" of a stage

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& one : names) all += (all.empty() ? "" : ", ") + one;
  return all;
}

void check_job(const config::StageConfig& stage, models::Model& model, Found& found) {
  const models::Abilities can = model.abilities();
  const std::string& task = stage.job.task;
  if (task == "codes") {
    if (models::learned_codes(model) != nullptr) return;
    found.push_back(
        ".job: expected a model with a head that guesses codes of hidden patches; this one has "
        "none");
    return;
  }
  const bool writes = task == "caption";
  if (writes ? static_cast<bool>(can.generate) : static_cast<bool>(can.match)) return;
  found.push_back(".job: expected a model that can " + std::string(writes ? "write" : "match") +
                  "; this one cannot");
}

// A file that is there is one for this model. The stage that trains codes may have another model.
void check_codes(const config::RunConfig& config, const config::StageConfig& stage,
                 const std::vector<std::shared_ptr<Parts>>& outlines, const models::Model& model,
                 Found& found) {
  if (stage.codes.empty()) return;
  const models::LearnedCodes* codes = models::learned_codes(model);
  if (codes == nullptr) {
    found.push_back(
        ".codes: expected a model with a head that guesses codes of hidden patches; this one has "
        "none");
    return;
  }
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    if (config.stages[i].name != stage.codes) continue;
    const models::LearnedCodes* theirs = models::learned_codes(*outlines.at(i)->model);
    if (theirs != nullptr && theirs->shape() != codes->shape()) {
      found.push_back(".codes: expected as many codes and patches as large as in stage " +
                      stage.codes + "; they differ");
    }
    return;
  }
  std::error_code error;
  if (!std::filesystem::exists(stage.codes, error)) return;  // of a plan
  try {
    models::read_codes(stage.codes, codes);
  } catch (const Error& wrong) {
    found.push_back(".codes: " + wrong.message());
  }
}

void check_batch(const config::StageConfig& stage, int ranks, Found& found) {
  if (stage.data.batch % ranks != 0) {
    found.push_back(".data.batch: expected a batch that " + std::to_string(ranks) +
                    " ranks divide; got " + std::to_string(stage.data.batch));
  } else if (stage.data.group > 0 && stage.data.batch / ranks % stage.data.group != 0) {
    found.push_back(".data.group: expected whole groups on each of " + std::to_string(ranks) +
                    " ranks; got " + std::to_string(stage.data.batch / ranks) +
                    " samples of a rank and groups of " + std::to_string(stage.data.group));
  }
}

// A contrastive loss, say, compares samples: in a pack it would see others than in a batch.
void check_packing(const config::StageConfig& stage, const models::Processor& processor,
                   Found& found) {
  if (stage.data.max_tokens == 0) return;
  const std::vector<std::string>& known = processor.packed_losses;
  for (const auto& [name, weight] : stage.losses) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    found.push_back(".data.max_tokens: expected losses that packs of samples give (" +
                    (known.empty() ? std::string("this model has none") : joined(known)) +
                    "); got '" + name + "': set micro_batch instead");
  }
}

void check_training(const config::StageConfig& stage, const models::Model& model, Found& found) {
  try {
    const auto resolved = resolve_rules(stage, model.parameters());
    std::vector<std::string> adapted;
    for (const models::Adapter& one : adapters_of(stage, models::linear_layers(model))) {
      adapted.push_back(one.layer);
    }
    const std::string wrong =
        stage.cache.features ? wrong_cache(model, resolved, adapted) : std::string();
    if (!wrong.empty()) found.push_back(".cache: " + wrong);
  } catch (const Error& error) {
    found.push_back(".train: " + error.message());
  }
  const std::vector<std::string> known = model.losses_known();
  for (const auto& [name, weight] : stage.losses) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    found.push_back(".losses: expected a loss of the model (" + joined(known) + "); got '" + name +
                    "'");
  }
}

// Empty: the task is well in some stage.
std::string wrong_with(const config::RunConfig& config, const config::EvalTask& task,
                       const std::vector<std::shared_ptr<Parts>>& outlines,
                       const SourceMap& sources) {
  const auto source = sources.find(task.source.empty() ? config.sources[0].name : task.source);
  bool measured = false;
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const config::StageConfig& stage = config.stages[i];
    models::Model& model = *outlines.at(i)->model;
    if (stage.kind == "job" || !measured_in(task, stage, model)) continue;
    measured = true;
    // A head tells the answers of the list that it learns; their places must be those of the test.
    if (task.task != "vqa" || !model.abilities().classify || source == sources.end()) continue;
    const std::vector<std::string> learned = answers_of(config, stage, sources);
    if (!learned.empty() && source->second->answers() != learned) {
      return "eval.tasks: expected the answers of " + source->first + " to be the list of stage " +
             stage.name + "; they differ: give both sources one answer_list";
    }
  }
  return measured ? "" : "eval.tasks: no stage's model has what " + task.task + " takes";
}

}  // namespace

void check_stages(const config::RunConfig& config,
                  const std::vector<std::shared_ptr<Parts>>& outlines, const SourceMap& sources,
                  int ranks) {
  std::string problems;
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const config::StageConfig& stage = config.stages[i];
    models::Model& model = *outlines.at(i)->model;
    Found found;
    if (stage.kind == "job") {
      check_job(stage, model, found);
    } else {
      check_training(stage, model, found);
      check_codes(config, stage, outlines, model, found);
      check_batch(stage, ranks, found);
      check_packing(stage, outlines.at(i)->processor, found);
    }
    for (const std::string& one : found) problems += "\n  stages." + stage.name + one;
  }
  for (const config::EvalTask& task : config.eval.tasks) {
    const std::string wrong = wrong_with(config, task, outlines, sources);
    if (!wrong.empty()) problems += "\n  " + wrong;
  }
  if (problems.empty()) return;
  throw Error(ErrorKind::config, "[stages] the config does not fit the model:" + problems + "\n",
              "", "`tandem check CONFIG` prints the parameters that each rule catches");
}

}  // namespace tandem::train
