#pragma once
// The objects of a JSON list or of JSON Lines in a file of any size: where each begins and ends.
// In a list (of lists) they are its outermost objects; in lines, those of a line, and a line that
// holds none or ends inside one is an item of its own, which does not parse. Thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "data/file.h"

namespace tandem::data {

class JsonItems {
 public:
  static constexpr std::int64_t max_item = std::int64_t{64} << 20;

  explicit JsonItems(const std::string& path);

  std::int64_t count() const { return static_cast<std::int64_t>(items_.size()); }
  // Throws Error(data) at where(item) for one that is larger than max_item or no UTF-8.
  std::string text(std::int64_t item) const;
  // FILE:LINE, counted from 1; in a list with [NUMBER], counted from 0.
  std::string where(std::int64_t item) const;
  std::uint64_t hash() const { return hash_; }  // of all its bytes

 private:
  class Scan;

  struct Item {
    std::int64_t start = 0;
    std::uint32_t bytes = 0, line = 0;
  };
  void keep(std::int64_t start, std::int64_t end, std::int64_t line);

  std::string path_;
  InputFile file_;
  bool lines_ = false;
  std::vector<Item> items_{};
  std::uint64_t hash_ = 0;
};

}  // namespace tandem::data
