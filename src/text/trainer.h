#pragma once
// Learning merges from counted words; shared by byte-pair encoding and WordPiece.

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace tandem::text {

// Tokens in the order of their ids.
class TokenList {
 public:
  // The id of the token, which is added when it is new.
  std::int32_t add(const std::string& token);
  const std::vector<std::string>& tokens() const { return tokens_; }

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int32_t> ids_;
};

struct CountedWord {
  std::vector<std::int32_t> symbols;
  std::int64_t count = 0;
};

struct Merge {
  std::int32_t left, right;
};

// Merges the most frequent pair, ties by the smaller pair of ids, until there are `limit` tokens or
// no pair occurs twice. A merge costs what its places cost, whatever the length of the words.
// `prefix`: what the right side of a pair loses when it is joined ("##"), or empty.
std::vector<Merge> learn_merges(std::span<const CountedWord> words, std::size_t limit,
                                const std::string& prefix, TokenList& tokens);

}  // namespace tandem::text
