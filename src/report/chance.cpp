#include "tandem/report/chance.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tandem::report {

ChanceWatch::ChanceWatch(ChanceLevels levels, std::int64_t first, std::int64_t window)
    : levels_(std::move(levels)), first_(first), window_(window) {}

std::string ChanceWatch::add(const std::string& name, std::int64_t stage_step, double loss) {
  const auto level = levels_.find(name);
  if (level == levels_.end() || stage_step <= first_ || !std::isfinite(loss)) return {};
  Seen& seen = seen_[name];
  seen.sum += loss;
  if (++seen.count < window_) return {};
  const double mean = seen.sum / static_cast<double>(seen.count);
  seen.count = 0;
  seen.sum = 0;
  if (seen.warned || mean < 0.98 * level->second.value) return {};
  seen.warned = true;
  char text[256];
  std::snprintf(text, sizeof text,
                "the loss %.60s has stayed at its chance level %.4f (%.40s) for %lld steps: "
                "nothing is learned from it; look at the learning rate, the data, the frozen parts",
                name.c_str(), level->second.value, level->second.meaning.c_str(),
                static_cast<long long>(window_));
  return text;
}

std::int64_t chance_window(std::int64_t total_steps) {
  return std::clamp<std::int64_t>(total_steps / 10, 50, 1000);
}

}  // namespace tandem::report
