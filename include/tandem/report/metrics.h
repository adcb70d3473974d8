#pragma once
// The numbers of a run: metrics.jsonl, one object a step, floats in their shortest round-trip form.
// Everything but the `time.*` keys is a function of the config and the data: equal runs give equal
// lines.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace tandem::report {

struct Row {
  std::int64_t step = 0;  // over the whole run
  std::string stage{};
  std::vector<std::pair<std::string, double>> values{};  // in the order in which they are written
};

// A number that is not finite is written as a string ("nan", "inf", "-inf"): JSON has none.
std::string json_of(const Row& row);

class MetricsFile {
 public:
  // Keeps the lines up to and including `last_step` (a resumed run writes the others again), and
  // drops a last line that was cut. Throws Error(io).
  MetricsFile(std::filesystem::path path, std::int64_t last_step);
  void add(const Row& row);

 private:
  std::filesystem::path path_;
  std::ofstream out_;
};

// The same for any file of JSON lines that have a "step": bad_samples.jsonl.
void keep_lines_until(const std::filesystem::path& path, std::int64_t last_step);

}  // namespace tandem::report
