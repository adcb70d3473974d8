#pragma once
// Byte-pair merges: the pair with the lowest rank is merged first, the leftmost of equal ones;
// O(n log n) in the length of a word (Sennrich et al., arXiv:1508.07909).

#include <cstdint>
#include <vector>

#include "text/flat_map.h"
#include "text/vocabulary.h"

namespace tandem::text {

class Merges {
 public:
  explicit Merges(std::size_t expected = 0) : table_(expected) {}

  // A pair that is there already gets the new rank. `made` has to stand for more bytes than each
  // of the two, or the merges would not end.
  void add(std::int32_t left, std::int32_t right, std::uint32_t rank, std::int32_t made) {
    table_.set(key(left, right),
               static_cast<std::uint64_t>(rank) << 32 | static_cast<std::uint32_t>(made));
  }
  // Merges what can be merged.
  void apply(std::vector<std::int32_t>& symbols) const;

 private:
  static std::uint64_t key(std::int32_t a, std::int32_t b) {
    return static_cast<std::uint64_t>(a) << 32 | static_cast<std::uint32_t>(b);
  }
  std::uint64_t find(std::int32_t a, std::int32_t b) const {  // rank << 32 | new id
    return table_.find(key(a, b));
  }
  void apply_short(std::vector<std::int32_t>& symbols) const;
  void apply_long(std::vector<std::int32_t>& symbols) const;

  FlatMap table_;
};

}  // namespace tandem::text
