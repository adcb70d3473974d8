#pragma once
// Checkpoints of a run (DESIGN 6): committed atomically, verified, and the newest good one found
// again after any crash. Source of the rules: ../shared notes on reliability are restated here:
// step-N.tmp.<nonce>/, each file written and fsynced, the manifest (sizes and checksums) last, the
// directory fsynced, renamed to step-NNNNNN, the parent fsynced. A broken one is set aside as
// NAME.broken-K, never deleted; an old one is removed only after a newer one is durable and
// verified.

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
};

using Log = std::function<void(const std::string&)>;

class Checkpointer {
 public:
  // Makes the directory. keep: at least 1 newest good ones stay.
  Checkpointer(std::filesystem::path directory, std::int64_t keep, Log log = {});

  // Returns when it is durable. Throws Error(io) (disk full and the like) and leaves the old ones
  // as they were. Leftovers of an interrupted save are removed by the next commit.
  void commit(const State& state);

  // Newest checkpoint that verifies, whole; logs why each other one was passed over and sets it
  // aside. Nullopt when there is none.
  std::optional<State> newest_good();
  // The same of one named directory; throws Error(data) naming the file that is broken.
  static State load(const std::filesystem::path& directory);
  // Where newest_good stood, for messages and other verbs.
  std::filesystem::path directory_of(std::int64_t step) const;

 private:
  std::filesystem::path directory_;
  std::int64_t keep_;
  Log log_;
};

// Weights of a Hugging Face directory (model.safetensors, or model.safetensors.index.json with its
// shards) or of one .safetensors file, by name. `.pt`/`.bin` files are refused with advice.
std::map<std::string, at::Tensor> load_weights(const std::filesystem::path& path);

}  // namespace tandem::checkpoint
