#pragma once
// What an evaluation decides: is it the best so far, does the stage end. Pure functions of the
// metrics and of what a checkpoint holds.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tandem/config/run_config.h"

namespace tandem::train {

using Metrics = std::vector<std::pair<std::string, double>>;

struct Best {
  bool any = false;
  double value = 0;
  std::int64_t step = -1;  // of the run
};

// Throws Error(config) naming the metrics that there are, and `key`, which wants another.
double metric_of(const Metrics& metrics, const std::string& name, const std::string& key);

// Takes `value` when it is better than the best by more than min_delta; a number that is not finite
// never is. True: taken.
bool improve(Best& best, double value, std::int64_t step, bool less_is_better, double min_delta);

struct Patience {
  Best best{};
  std::int64_t without = 0;  // evaluations in a row without an improvement
};

// True: the stage ends here.
bool out_of_patience(Patience& patience, const config::StopConfig& stop, const Metrics& metrics,
                     std::int64_t step);

}  // namespace tandem::train
