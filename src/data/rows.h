#pragma once
// The rows of a text file of any size: where each begins, and reading one of them. The file is read
// once to find them; twelve bytes a row are kept.
//
// A row is a line, or, with `quote`, a record of RFC 4180, whose quoted fields may hold line ends.
// Empty lines are no rows. A quoted field that does not end within max_row ends with its line (and
// does not parse). Thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "data/file.h"

namespace tandem::data {

class Rows {
 public:
  static constexpr std::int64_t max_row = 1 << 20;

  struct Form {
    bool quote = false;
    char separator = ',';
  };
  // Throws Error(data): it cannot be read, or its first bytes say that it is UTF-16.
  Rows(const std::string& path, const Form& form);

  std::int64_t count() const { return static_cast<std::int64_t>(starts_.size()); }
  // Without its line end. Throws Error(data) at where(row) for one longer than max_row, with a NUL,
  // or no UTF-8.
  std::string row(std::int64_t row) const;
  // FILE:LINE, counted from 1.
  std::string where(std::int64_t row) const;
  std::int64_t line(std::int64_t row) const { return lines_.at(static_cast<std::size_t>(row)); }
  std::uint64_t hash() const { return hash_; }  // of all its bytes
  void drop_first();                            // the head line

 private:
  class Scan;

  std::string path_;
  InputFile file_;
  std::vector<std::int64_t> starts_{};
  std::vector<std::uint32_t> lines_{};
  std::uint64_t hash_ = 0;
};

}  // namespace tandem::data
