#pragma once
// Names that people bring from other trainers (docs/migrate.md has the tables): for "did you mean"
// only, nothing is ever read under them.

#include <string>
#include <string_view>
#include <vector>

namespace tandem::config {

struct Foreign {
  std::string_view name;  // as there; case, and `-` for `_`, are no difference
  std::string_view
      key;  // ours, dotted from the top; empty where there is none: then the note says all
  std::string_view note;  // what is different; may be empty
};

// Small letters and `_`, without leading dashes: `--Batch-Size` is `batch_size`.
std::string folded(std::string_view name);
// Null when it is none of them.
const Foreign* foreign(std::string_view name);
const std::vector<Foreign>& foreign_names();

}  // namespace tandem::config
