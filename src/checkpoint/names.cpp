#include "checkpoint/names.h"

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "tandem/base/files.h"

namespace tandem::checkpoint {
namespace {

constexpr std::string_view prefix = "step-";
constexpr std::string_view replaced_suffix = ".replaced-";

// All of the text is a number of at most 18 digits.
std::optional<std::int64_t> number_of(std::string_view text) {
  if (text.empty() || text.size() > 18) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::string name_of(std::int64_t step) {
  std::string digits = std::to_string(step);
  if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
  return std::string(prefix) + digits;
}

std::optional<Committed> parse_name(const std::string& name) {
  if (name.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  Committed found{.name = name};
  std::string stem = name;
  if (const std::size_t at = name.find(replaced_suffix); at != std::string::npos) {
    const auto number = number_of(std::string_view(name).substr(at + replaced_suffix.size()));
    if (!number || *number < 1) return std::nullopt;
    found.replaced = *number;
    stem = name.substr(0, at);
  }
  const auto step = number_of(std::string_view(stem).substr(prefix.size()));
  // Only the one way to write it: step-5 is not ours.
  if (!step || name_of(*step) != stem) return std::nullopt;
  found.step = *step;
  return found;
}

bool is_leftover(const std::string& name) {
  return name.compare(0, prefix.size(), prefix) == 0 && name.find(".tmp.") != std::string::npos;
}

std::vector<Committed> list_committed(const std::filesystem::path& directory) {
  std::vector<Committed> found;
  for (const std::string& name : list_directory(directory)) {
    if (const auto committed = parse_name(name)) found.push_back(*committed);
  }
  std::sort(found.begin(), found.end(), [](const Committed& a, const Committed& b) {
    return std::make_tuple(-a.step, a.replaced) < std::make_tuple(-b.step, b.replaced);
  });
  return found;
}

std::filesystem::path free_name(const std::filesystem::path& directory, const std::string& name,
                                const std::string& suffix) {
  for (int k = 1;; ++k) {
    std::filesystem::path path = directory / (name + suffix + std::to_string(k));
    if (!std::filesystem::exists(std::filesystem::symlink_status(path))) return path;
  }
}

}  // namespace tandem::checkpoint
