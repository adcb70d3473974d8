#pragma once
// The folder of a run: who may write to it, and the small files that say what it is.

#include <filesystem>
#include <string>

#include "tandem/config/run_config.h"
#include "tandem/train/run.h"

namespace tandem::train {

// Held while a process trains in the folder; a second one is refused. Error(config) says by whom.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& directory);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int descriptor_ = -1;
};

// Throws Error(config) when the folder holds a run of another config, naming the keys, or any run
// at all with `--resume never`.
void refuse_other_run(const config::Loaded& loaded, const RunOptions& options);

// The resolved config of the run that the folder holds; empty: it holds none.
std::string run_config_before(const std::filesystem::path& directory);

// Writes config.yaml (what the user wrote, where the options have it), resolved.yaml, command.txt
// and env.json. Throws Error(io).
void write_run_files(const config::Loaded& loaded, const RunOptions& options,
                     const std::string& environment);

}  // namespace tandem::train
