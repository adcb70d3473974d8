#pragma once
// The models that turn words into ids. A further kind is a class here and a line in `make_model`.

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/flat_map.h"
#include "text/json_node.h"
#include "text/vocabulary.h"

namespace tandem::text {

class Model {
 public:
  explicit Model(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~Model() = default;
  // Appends the ids of a word, which is not empty. Thread-safe.
  virtual void encode(std::string_view word, std::vector<std::int32_t>& ids) const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
};

// Byte-pair encoding: the pair with the lowest rank is merged first, the leftmost of equal ones;
// O(n log n) in the length of a word (Sennrich et al., arXiv:1508.07909).
class Bpe : public Model {
 public:
  // `byte_level`: the words are bytes, and a token is written with one letter for each of them.
  Bpe(const JsonNode& node, bool byte_level);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  void read_merges(const JsonNode& node);
  void add_merge(std::string_view a, std::string_view b, std::size_t rank, const JsonNode& merges);
  bool make_byte_table();  // true: every byte has a token
  // Ids of the characters; characters without one become unk or nothing.
  void symbols(std::string_view word, std::vector<std::int32_t>& out) const;
  void merge_short(std::vector<std::int32_t>& symbols) const;
  void merge_long(std::vector<std::int32_t>& symbols) const;
  std::uint64_t merge_of(std::int32_t a, std::int32_t b) const {  // rank << 32 | new id
    return merges_.find(static_cast<std::uint64_t>(a) << 32 | static_cast<std::uint32_t>(b));
  }

  bool byte_level_;
  bool fuse_unk_ = false, ignore_merges_ = false;
  std::int32_t unk_ = kNoId;
  std::string prefix_, suffix_;
  FlatMap merges_;
  // [not the first][the last][byte] of a word
  std::array<std::array<std::array<std::int32_t, 256>, 2>, 2> bytes_{};
};

// Longest piece first (Wu et al., arXiv:1609.08144); linear but for the length of the longest
// token, which is bounded.
class WordPiece : public Model {
 public:
  explicit WordPiece(const JsonNode& node);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  void add(std::uint64_t root, std::string_view token, std::int32_t id);

  std::int32_t unk_ = kNoId;
  std::int64_t max_chars_ = 100;
  FlatMap edges_;                       // node << 8 | byte -> node
  std::vector<std::int32_t> accepted_;  // [node] the id of the token that ends there
};

std::unique_ptr<Model> make_model(const JsonNode& node, bool byte_level);

}  // namespace tandem::text
