#pragma once
// SentencePiece's `precompiled_charsmap`: what strings of characters become, as a double array
// (darts-clone's units of 32 bits) and a list of texts that end in a zero byte. Both sides of it
// may be wrong in a file that somebody made: every index is checked, also while it is used.
// Layout: google/sentencepiece, src/normalizer.cc.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::text {

class CharsMap {
 public:
  CharsMap() = default;  // nothing changes
  // Error(data) at `where` when it is no such map.
  CharsMap(std::string_view blob, const std::string& where);

  bool empty() const { return units_.empty(); }

  struct Found {
    std::size_t length;  // bytes of the text that match
    std::string_view replacement;
  };
  // The longest rule that the text begins with.
  std::optional<Found> longest(std::string_view text) const { return find(text, true); }
  // The shortest one.
  std::optional<Found> shortest(std::string_view text) const { return find(text, false); }

 private:
  std::optional<Found> find(std::string_view text, bool longest) const;

  std::vector<std::uint32_t> units_;
  std::string texts_;  // ends in a zero byte
};

// Bytes of the extended grapheme cluster at text[at] (Unicode, annex 29, but for the rule of Indic
// conjuncts).
std::size_t grapheme_length(std::string_view text, std::size_t at);

// `tokenizers`' use of the map: a cluster of less than six bytes that begins with a rule becomes
// what the shortest such rule says; else each character by itself.
void append_precompiled(const CharsMap& map, std::string_view text, std::string& out);

}  // namespace tandem::text
