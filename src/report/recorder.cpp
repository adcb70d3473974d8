#include "tandem/report/recorder.h"

namespace tandem::report {

Recorder::Recorder(const RecorderOptions& options)
    : metrics_(options.directory / "metrics.jsonl", options.last_step) {
  if (options.csv) {
    csv_.emplace(options.directory / "metrics.csv", options.directory / "metrics.jsonl");
  }
  if (options.tensorboard) events_.emplace(options.directory, options.last_step);
}

void Recorder::add(const Row& row) {
  metrics_.add(row);
  if (csv_) csv_->add(row);
  if (events_) events_->add(row);
}

}  // namespace tandem::report
