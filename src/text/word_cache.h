#pragma once
// The ids of short words that a thread met lately, for all tokenizers that it uses: a table of
// 1 MiB where a word has one place, in which the last one stays. No lock, nothing to bound.

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace tandem::text {

class WordCache {
 public:
  static constexpr std::size_t kMaxWord = 23, kMaxIds = 8;

  struct Entry {
    std::array<std::uint64_t, 3> key;  // the bytes, and their number in the last one
    std::uint32_t owner = 0;           // of the tokenizer; 0: an empty place
    std::uint32_t count = 0;
    std::array<std::int32_t, kMaxIds> ids;
  };

  // This thread's.
  static WordCache& here() {
    static thread_local WordCache cache;
    return cache;
  }

  // The place of a word of 1 to kMaxWord bytes. When `hit`, it holds its ids; else they may be put
  // there: it has the key already, and no owner.
  Entry& at(std::string_view word, std::uint32_t owner, bool& hit) {
    std::array<std::uint64_t, 3> key{};
    std::memcpy(key.data(), word.data(), word.size());
    key[2] |= static_cast<std::uint64_t>(word.size()) << 56;
    std::uint64_t hash = key[0] * 0x9E3779B97F4A7C15ull ^
                         std::rotl(key[1] * 0xC2B2AE3D27D4EB4Full, 23) ^
                         std::rotl(key[2] * 0x165667B19E3779F9ull, 41);
    hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15ull;
    Entry& entry = entries_[hash >> (64 - kBits)];
    hit = entry.owner == owner && entry.key == key;
    if (!hit) {
      entry.key = key;
      entry.owner = 0;
    }
    return entry;
  }

 private:
  static constexpr int kBits = 14;
  static_assert(std::endian::native == std::endian::little);

  WordCache() : entries_(std::size_t{1} << kBits) {}

  std::vector<Entry> entries_;
};

static_assert(sizeof(WordCache::Entry) == 64);

}  // namespace tandem::text
