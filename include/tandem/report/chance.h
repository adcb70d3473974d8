#pragma once
// A loss that stands where guessing stands has learned nothing. ln B for a contrast of B pairs,
// ln 2 for a yes or no, ln V for a token of V: who computes the loss says which
// (models::Model::chance_levels), this room shows it and warns.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tandem::report {

struct ChanceLevel {
  double value = 0;
  std::string meaning{};  // "ln 64"
};
using ChanceLevels = std::map<std::string, ChanceLevel>;  // by name of the loss

class ChanceWatch {
 public:
  // window: steps whose mean is compared; `first`: steps of the stage that do not count (warm-up).
  ChanceWatch(ChanceLevels levels, std::int64_t first, std::int64_t window);

  // The loss of a step of the stage. A text, once for each loss: when the mean over the window is
  // at least 98 % of the chance level. Else empty.
  std::string add(const std::string& name, std::int64_t stage_step, double loss);

 private:
  struct Seen {
    std::int64_t count = 0;
    double sum = 0;
    bool warned = false;
  };

  ChanceLevels levels_;
  std::int64_t first_, window_;
  std::map<std::string, Seen> seen_{};
};

// A tenth of the stage, but 50 to 1,000 steps: below, it is noise; above, it comes too late.
std::int64_t chance_window(std::int64_t total_steps);

}  // namespace tandem::report
