#include <algorithm>

#include "config/foreign.h"
#include "tandem/config/run_config.h"

namespace tandem::config {
namespace {

// Among longer or more names than people write, none is near: the work stays bounded.
constexpr std::size_t kLongest = 64, kMost = 1000;

// Insertions, deletions, substitutions, and swaps of neighbours.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string nearest(const std::string& name, const std::vector<std::string>& known) {
  if (name.empty() || name.size() > kLongest || known.size() > kMost) return {};
  const std::string wanted = folded(name);
  const std::size_t limit = name.size() <= 3 ? 1 : name.size() <= 6 ? 2 : 3;
  std::size_t best = limit + 1;
  std::string found, longer;
  int longer_count = 0;
  for (const std::string& candidate : known) {
    if (candidate.empty() || candidate.size() > kLongest) continue;
    const std::string other = folded(candidate);
    const std::size_t apart = distance(wanted, other);
    // A name with nothing in common is not near, however short both are.
    if (apart < best && apart < std::max(wanted.size(), other.size())) {
      best = apart;
      found = candidate;
    }
    if (wanted.size() >= 3 && other.rfind(wanted, 0) == 0) {
      longer = candidate;
      ++longer_count;
    }
  }
  if (found.empty() && longer_count == 1) return longer;
  return found;
}

}  // namespace tandem::config
