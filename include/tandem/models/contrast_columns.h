#pragma once
// Families whose contrast is solved a micro-batch at a time: a pair is told from those of the same
// micro-batch, and not from the whole step's. (Model::features and solve are the way to the whole
// step's.)

#include <string>
#include <vector>

namespace tandem::models {

class ContrastsMicroBatches {
 public:
  virtual ~ContrastsMicroBatches() = default;
  // Names of the losses that compare pairs so; none in a stage without such a loss.
  virtual std::vector<std::string> losses_of_micro_batch() const = 0;
  // The micro-batches of all ranks are one contrast, or each is its own, beside what a queue holds.
  virtual bool sees_all_ranks() const { return true; }
};

}  // namespace tandem::models
