#pragma once
// Names in the directory of checkpoints:
//   step-000500                committed
//   step-000500.replaced-K     a committed one that gives way to another of the same step; it
//   counts
//                              until the new one stands under the name
//   step-000500.tmp.NONCE      a save under way, or the rest of one; also an old one being removed
//   step-000500.broken-K       set aside
//   step-000500.left-K         of a run that went back to an older one

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tandem::checkpoint {

struct Committed {
  std::int64_t step = 0;
  std::int64_t replaced = 0;  // 0: it holds the name itself
  std::string name{};
};

std::string name_of(std::int64_t step);
std::optional<Committed> parse_name(const std::string& name);
bool is_leftover(const std::string& name);

// The newest first; of one step, the one that holds the name first.
std::vector<Committed> list_committed(const std::filesystem::path& directory);
// NAME + suffix + the smallest K from 1 that is free.
std::filesystem::path free_name(const std::filesystem::path& directory, const std::string& name,
                                const std::string& suffix);

}  // namespace tandem::checkpoint
