#pragma once
// A tree of bytes over the tokens of a vocabulary: which of them a text begins with.

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/flat_map.h"
#include "text/vocabulary.h"

namespace tandem::text {

class PieceTree {
 public:
  static constexpr std::uint64_t kNone = FlatMap::kNone;

  // `roots`: trees that share the storage; their nodes are 0 to roots - 1. `bytes`: how many bytes
  // of tokens are expected.
  explicit PieceTree(std::size_t roots = 1, std::size_t bytes = 0)
      : edges_(bytes), accepted_(roots, kNoId) {}

  void add(std::uint64_t root, std::string_view token, std::int32_t id) {
    if (token.empty()) return;
    std::uint64_t node = root;
    for (const char byte : token) {
      const std::uint64_t key = node << 8 | static_cast<unsigned char>(byte);
      std::uint64_t next = edges_.find(key);
      if (next == kNone) {
        next = accepted_.size();
        accepted_.push_back(kNoId);
        edges_.set(key, next);
      }
      node = next;
    }
    accepted_[node] = id;
  }

  // The node behind `byte`, or kNone.
  std::uint64_t child(std::uint64_t node, char byte) const noexcept {
    return edges_.find(node << 8 | static_cast<unsigned char>(byte));
  }
  // The token that ends at the node, or kNoId.
  std::int32_t id(std::uint64_t node) const noexcept { return accepted_[node]; }

  // The longest token at text[at], or kNoId; `end` is set when there is one.
  std::int32_t longest(std::uint64_t root, std::string_view text, std::size_t at,
                       std::size_t& end) const noexcept {
    std::int32_t best = kNoId;
    std::uint64_t node = root;
    for (std::size_t i = at; i < text.size(); ++i) {
      node = child(node, text[i]);
      if (node == kNone) break;
      if (accepted_[node] == kNoId) continue;
      best = accepted_[node];
      end = i + 1;
    }
    return best;
  }

 private:
  FlatMap edges_;                       // node << 8 | byte -> node
  std::vector<std::int32_t> accepted_;  // [node]
};

}  // namespace tandem::text
