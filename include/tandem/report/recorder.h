#pragma once
// Where the numbers of a run go: metrics.jsonl always, metrics.csv and TensorBoard's event file
// where they are wanted. One row a step, the same in all of them.

#include <filesystem>
#include <optional>

#include "tandem/report/csv.h"
#include "tandem/report/metrics.h"
#include "tandem/report/tensorboard.h"

namespace tandem::report {

struct RecorderOptions {
  std::filesystem::path directory{};  // of the run
  std::int64_t last_step = 0;         // rows after it come again
  bool csv = true, tensorboard = true;
};

class Recorder {
 public:
  explicit Recorder(const RecorderOptions& options);  // throws Error(io)
  void add(const Row& row);

 private:
  MetricsFile metrics_;
  std::optional<CsvFile> csv_{};
  std::optional<EventFile> events_{};
};

}  // namespace tandem::report
