#pragma once
// The evaluations that a config names, in training and after it (`tandem eval`).

#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tandem/eval/task.h"
#include "tandem/train/experiment.h"

namespace tandem::train {

struct Measurement {
  std::string name{};  // "retrieval"; "SOURCE.retrieval" where the source is not the first
  eval::Metrics metrics{};
  eval::Predictions predictions{};  // on rank 0
  std::shared_ptr<const data::Source> source{};
};

struct MeasureInput {
  const config::RunConfig& config;
  const SourceMap& sources;
  models::Model& model;
  const models::Processor& processor;
  const dist::Mesh& mesh;
  at::Device device;
  // Of a run that trains: tasks of other stages, and those that the stage's model cannot do, are
  // left out. Null: all are made.
  const config::StageConfig* stage = nullptr;
};
// Is the task measured in that stage? By its `stages`; else where the model can, and a head for
// answers is one for that task (the model has a loss of its name).
bool measured_in(const config::EvalTask& task, const config::StageConfig& stage,
                 models::Model& model);

// In the order of config.eval.tasks. `adjust` may set more of a task's input; empty: nothing.
std::vector<Measurement> measure(const MeasureInput& input,
                                 const std::function<void(eval::Input&)>& adjust = {});

// "eval.NAME.METRIC" of all of them; `prefix` stands in front.
eval::Metrics metrics_of(const std::vector<Measurement>& measured, const std::string& prefix = {});

// What a person looks at later, in a folder of a run; rank 0 calls it. eval/step-N.json: the
// metrics; eval/[PREFIX]NAME.jsonl: the predictions, samples/[PREFIX]NAME.json with its pictures
// beside it: those of the newest evaluation. Throws Error(io).
struct Record {
  std::filesystem::path directory{};
  std::int64_t step = 0;
  std::string prefix{};  // "ema."
};
void write_predictions(const Record& record, const std::vector<Measurement>& measured);

}  // namespace tandem::train
