#pragma once
// How many of each class were found.

#include <cstdint>
#include <vector>

namespace tandem::eval {

struct ClassAccuracy {
  double share = 0;                   // of all that are right
  double mean_per_class = 0;          // the mean of `each` over classes that occur
  std::vector<double> each{};         // by class; NaN: it does not occur
  std::vector<std::int64_t> count{};  // by class
};

// labels: at least one, each in [0, classes); predicted: as many, any numbers.
ClassAccuracy class_accuracy(const std::vector<std::int64_t>& labels,
                             const std::vector<std::int64_t>& predicted, std::int64_t classes);

}  // namespace tandem::eval
