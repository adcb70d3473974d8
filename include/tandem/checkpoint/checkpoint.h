#pragma once
// Checkpoints of a run (DESIGN 6): committed atomically, verified, and the newest good one found
// again after any crash.
//
// The rules. A save goes to step-NNNNNN.tmp.NONCE/: each file is written, fsynced and closed, the
// manifest (sizes and checksums of all) last; the directory is fsynced, everything is read back and
// compared, the directory renamed to step-NNNNNN and the parent fsynced. Nothing but the scan is
// trusted: there is no pointer to the latest. A broken one is set aside as NAME.broken-K, never
// deleted; an old one is removed only after a newer one is durable and verified. One process at a
// time writes to a directory.
//
// What a save does to the disk can be recorded and cut short from outside: see base/files.h.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tandem/tensor/safetensors.h"

namespace tandem::checkpoint {

struct State {
  std::int64_t step = 0;     // over the whole run
  NamedTensors model{};      // -> model.safetensors (metadata format=pt), what transformers loads
  NamedTensors optimizer{};  // -> optimizer.safetensors; "exp_avg.NAME", "exp_avg_sq.NAME"
  std::string json = "{}";   // -> state.json: stage, step, position, config hash; the trainer's
  std::vector<std::pair<std::string, std::string>> files{};  // config.json, tokenizer.json, ...
  // More tensors by the name of their file: ema.safetensors, adapter_model.safetensors.
  std::vector<std::pair<std::string, NamedTensors>> more{};
  std::vector<std::int64_t> kept_steps{};  // whose checkpoints stay, too. Not saved.
  std::int64_t best_step = -1;  // its checkpoint stays whatever its age; below 0: none. Not saved.
};

// The same with every tensor in memory of its own, on the CPU: nothing that happens to the tensors
// of `state` later is seen.
State private_copy(const State& state);

using Log = std::function<void(const std::string&)>;

class Checkpointer {
 public:
  // Makes the directory. keep: at least 1 newest good ones stay, and State::best_step's.
  Checkpointer(std::filesystem::path directory, std::int64_t keep, Log log = {});

  // Returns when it is durable. Throws Error(io) (disk full and the like) and leaves the old ones
  // as they were. Leftovers of an interrupted save are removed by the next commit. A checkpoint of
  // the same step gives way once the new one stands. Tensors of any device; they may not change
  // meanwhile. Equal states give byte-identical model and optimizer files.
  void commit(const State& state);

  // Newest checkpoint that verifies, whole; logs why each other one was passed over and sets it
  // aside (one that cannot be read, rather than is broken, stays where it is). Nullopt when there
  // is none. Tensors are on the CPU, in the order of their names.
  std::optional<State> newest_good();
  // The same of one named directory; throws Error(data) naming the file that is broken.
  static State load(const std::filesystem::path& directory);
  // For a run that goes back: those after `step` are renamed to NAME.left-K, never deleted, so that
  // newest_good does not find the way that was left.
  void leave_after(std::int64_t step);
  // Where newest_good stood, for messages and other verbs.
  std::filesystem::path directory_of(std::int64_t step) const;

 private:
  void remove_surplus(const State& state);
  void try_to(const std::function<void()>& action) const;

  std::filesystem::path directory_;
  std::int64_t keep_;
  Log log_;
};

// In the folder of a run's checkpoints: that of a step, whether it is there or not, and the newest
// that is (nothing of it is read).
std::filesystem::path directory_of(const std::filesystem::path& checkpoints, std::int64_t step);
std::optional<std::filesystem::path> newest_directory(const std::filesystem::path& checkpoints);

// Weights of a Hugging Face directory (model.safetensors, or model.safetensors.index.json with its
// shards) or of one .safetensors file, by name. Throws Error(data) naming the file: `.pt`, `.bin`
// and other pickles are refused with the converter's name; an index that names a file elsewhere or
// a tensor that its shard does not hold; a file that is not what the manifest of a checkpoint
// beside it says. An adapter in the directory is merged (checkpoint/adapter.h). average: of a
// checkpoint, the weights' averages (ema.safetensors) in their place; Error(config) where there are
// none.
std::map<std::string, at::Tensor> load_weights(const std::filesystem::path& path,
                                               bool average = false);
// The other files of a checkpoint that are there (config.json, the tokenizer, ...), before somebody
// reads them: throws Error(data) naming the one that is not what the manifest says. Nothing where
// there is no manifest of ours, as in a Hugging Face directory.
void check_texts(const std::filesystem::path& directory);

}  // namespace tandem::checkpoint
