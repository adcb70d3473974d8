#pragma once
// What a config that goes on with a run says too late.

#include <string>
#include <vector>

namespace tandem::train {

// Differences between two resolved configs in when stages end (`until`, `stop`), of those among
// `ended`, which are trained no more: a line each, "stages.NAME.until.steps: 6 -> 12".
std::vector<std::string> changes_of_ended(const std::string& before, const std::string& now,
                                          const std::vector<std::string>& ended);

}  // namespace tandem::train
