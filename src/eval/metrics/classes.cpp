#include "eval/metrics/classes.h"

#include <limits>

#include "tandem/base/error.h"

namespace tandem::eval {

ClassAccuracy class_accuracy(const std::vector<std::int64_t>& labels,
                             const std::vector<std::int64_t>& predicted, std::int64_t classes) {
  TANDEM_CHECK(!labels.empty() && labels.size() == predicted.size(),
               "[eval] labels and predictions of different numbers");
  const auto size = static_cast<std::size_t>(classes);
  ClassAccuracy result{.each = std::vector<double>(size), .count = std::vector<std::int64_t>(size)};
  double all = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    TANDEM_CHECK(labels[i] >= 0 && labels[i] < classes, "[eval] a label that is no class");
    const auto label = static_cast<std::size_t>(labels[i]);
    const double right = predicted[i] == labels[i] ? 1 : 0;
    ++result.count[label];
    result.each[label] += right;
    all += right;
  }
  double seen = 0;
  for (std::size_t c = 0; c < size; ++c) {
    if (result.count[c] == 0) {
      result.each[c] = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    result.each[c] /= static_cast<double>(result.count[c]);
    result.mean_per_class += result.each[c];
    seen += 1;
  }
  result.mean_per_class /= seen;
  result.share = all / static_cast<double>(labels.size());
  return result;
}

}  // namespace tandem::eval
