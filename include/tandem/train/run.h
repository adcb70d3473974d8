#pragma once
// A run: every stage of a config, from where its checkpoints stand to the end.

#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tandem/config/run_config.h"
#include "tandem/dist/mesh.h"
#include "tandem/train/experiment.h"

namespace tandem::train {

// What a stage of `kind: job` is given.
struct StageJob {
  const config::StageConfig& stage;
  models::Model& model;
  const models::Processor& processor;
  std::vector<std::pair<std::string, std::shared_ptr<const data::Source>>> inputs{};
  std::filesystem::path folder{};  // jobs/STAGE of the run: there it writes and goes on
  const dist::Mesh& mesh;
  at::Device device;
  Key key;                          // of its draws
  int threads = 1;                  // that read
  std::function<void()> between{};  // all ranks call it now and then; it throws to end the job
};

struct RunOptions {
  std::filesystem::path directory{};  // runs/NAME
  std::string resume = "auto";        // auto, never, or a checkpoint's path
  std::string stage{};                // only up to and with this stage; empty: all
  std::int64_t stop_after = 0;  // step of the run after which to stop with a checkpoint; 0: never
  std::string command{};        // for command.txt
  std::string config{};         // for config.yaml: the file as it was given; empty: none is written
  at::Device device{at::kCPU};
  const dist::Mesh* mesh = nullptr;
  int local_ranks = 1;                         // on this machine: they share its cores
  std::function<void(const StageJob&)> job{};  // does what stages of `kind: job` ask for
};

// The exit code: 0 done; with a checkpoint written 130/143 after a signal, 75 after `stop_after`.
// Everything else is thrown: Error(numerics) for ten broken steps in a row, Error(config) for a run
// that must not be resumed with this config, ...
int run(const config::Loaded& loaded, const RunOptions& options);

// What a plan is made of. What is not there is told and not needed.
struct PlanInput {
  const config::Loaded& loaded;
  SourceMap sources{};                // that could be opened
  std::vector<std::string> absent{};  // what is not there, a line each
  std::shared_ptr<const text::Tokenizer> tokenizer{};
  bool stand_in = false;  // the tokenizer is one of about the right size, for what is not there
};
PlanInput open_for_plan(const config::Loaded& loaded);

// What `tandem check` prints: what is absent, and of each stage the parameters per rule, samples,
// steps, and an estimate of memory. Weights are not made but where they are small: then the
// activations of a pass are measured.
std::string plan(const PlanInput& input, int ranks);

}  // namespace tandem::train
