#include "train/stopping.h"

#include <cmath>

#include "tandem/base/error.h"

namespace tandem::train {

double metric_of(const Metrics& metrics, const std::string& name, const std::string& key) {
  std::string known;
  for (const auto& [metric, value] : metrics) {
    if (metric == name) return value;
    known += (known.empty() ? "" : ", ") + metric;
  }
  throw Error(ErrorKind::config,
              "[eval] expected a metric of the evaluations (" + known + "); got " + name, key);
}

bool improve(Best& best, double value, std::int64_t step, bool less_is_better, double min_delta) {
  if (!std::isfinite(value)) return false;
  const double gain = less_is_better ? best.value - value : value - best.value;
  if (best.any && !(gain > min_delta)) return false;
  best = {.any = true, .value = value, .step = step};
  return true;
}

bool out_of_patience(Patience& patience, const config::StopConfig& stop, const Metrics& metrics,
                     std::int64_t step) {
  const double value = metric_of(metrics, stop.metric, "stop.metric");
  const bool less = config::less_is_better(stop.metric, stop.mode);
  const bool better = improve(patience.best, value, step, less, stop.min_delta);
  patience.without = better ? 0 : patience.without + 1;
  return patience.without >= stop.patience;
}

}  // namespace tandem::train
