#pragma once
// A run: every stage of a config, from where its checkpoints stand to the end.

#include <c10/core/Device.h>

#include <filesystem>
#include <string>

#include "tandem/config/run_config.h"
#include "tandem/dist/mesh.h"

namespace tandem::train {

struct RunOptions {
  std::filesystem::path directory{};  // runs/NAME
  std::string resume = "auto";        // auto, never, or a checkpoint's path
  std::string stage{};                // only up to and with this stage; empty: all
  std::int64_t stop_after = 0;  // step of the run after which to stop with a checkpoint; 0: never
  std::string command{};        // for command.txt
  at::Device device{at::kCPU};
  const dist::Mesh* mesh = nullptr;
  int local_ranks = 1;  // on this machine: they share its cores
};

// The exit code: 0 done; with a checkpoint written 130/143 after a signal, 75 after `stop_after`.
// Everything else is thrown: Error(numerics) for ten broken steps in a row, Error(config) for a run
// that must not be resumed with this config, ...
int run(const config::Loaded& loaded, const RunOptions& options);

// What `tandem check` prints: of each stage the parameters per rule, samples, steps, and an
// estimate of memory.
std::string plan(const config::RunConfig& config, int ranks);

}  // namespace tandem::train
