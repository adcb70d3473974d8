#include "train/ended_stages.h"

#include <map>
#include <set>

#include "tandem/config/run_config.h"

namespace tandem::train {

std::vector<std::string> changes_of_ended(const std::string& before, const std::string& now,
                                          const std::vector<std::string>& ended) {
  if (before.empty() || ended.empty()) return {};
  const std::map<std::string, std::string> old = config::flat_values(before);
  const std::map<std::string, std::string> changed = config::flat_values(now);
  std::set<std::string> keys;
  for (const auto* values : {&old, &changed}) {
    for (const auto& [key, value] : *values) keys.insert(key);
  }
  const auto of = [](const std::map<std::string, std::string>& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string("(absent)") : found->second;
  };
  std::vector<std::string> lines;
  for (const std::string& stage : ended) {
    for (const char* block : {".until.", ".stop."}) {
      const std::string start = "stages." + stage + block;
      for (auto key = keys.lower_bound(start); key != keys.end() && key->starts_with(start);
           ++key) {
        if (of(old, *key) == of(changed, *key)) continue;
        lines.push_back(*key + ": " + of(old, *key) + " -> " + of(changed, *key));
      }
    }
  }
  return lines;
}

}  // namespace tandem::train
