#pragma once
// metrics.csv: metrics.jsonl as a table, for a spreadsheet. A column a key, in the order in which
// the keys first came; what a step did not measure is an empty cell. A new key writes the file anew
// from metrics.jsonl, which stays the truth.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tandem/report/metrics.h"

namespace tandem::report {

class CsvFile {
 public:
  // jsonl: the run's metrics.jsonl, to which every row was added before it is added here. Throws
  // Error(io).
  CsvFile(std::filesystem::path path, std::filesystem::path jsonl);
  void add(const Row& row);

 private:
  void rewrite();

  std::filesystem::path path_, jsonl_;
  std::vector<std::string> columns_{};
  std::ofstream out_;
};

}  // namespace tandem::report
