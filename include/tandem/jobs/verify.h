#pragma once
// `tandem verify`: a model against recorded inputs, outputs and gradients (DESIGN 7), in evaluation
// mode, fp32, on the CPU.

#include <filesystem>
#include <string>
#include <vector>

namespace tandem::jobs {

struct Comparison {
  std::string name;       // output.NAME or grad.PARAMETER
  double absolute = 0;    // largest difference
  double relative = 0;    // largest difference over the value it differs from
  std::string tolerance;  // what was allowed, for a person
  double share = 0;       // of the tolerance that the worst number used; above 1: different
  std::string note;       // why it is different where no number says so (another shape)
  bool equal() const { return note.empty() && share <= 1; }
};

struct VerifyReport {
  std::vector<Comparison> lines;  // outputs, then gradients, by name
  bool equal() const;
  std::string text() const;  // a line each, last `N of M equal; worst NAME`
};

// Throws Error(config): unknown class, a missing or unknown input, an output or gradient that this
// build does not produce, no output at all, a directory without config.json. Error(data): a
// missing, surplus or broken tensor of the directory, a broken reference.
VerifyReport verify(const std::filesystem::path& directory, const std::filesystem::path& reference);

}  // namespace tandem::jobs
