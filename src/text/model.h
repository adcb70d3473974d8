#pragma once
// The models that turn words into ids. A further kind is a class here and a line in `make_model`.

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_node.h"
#include "text/merges.h"
#include "text/piece_tree.h"
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

// The tokens <0x00> to <0xFF>, kNoId where there is none.
void find_byte_tokens(const Vocabulary& vocabulary, std::array<std::int32_t, 256>& tokens);
// Appends the tokens of the bytes; false, with `ids` as it was, when one has none.
bool append_byte_tokens(const std::array<std::int32_t, 256>& tokens, std::string_view bytes,
                        std::vector<std::int32_t>& ids);

// Byte-pair encoding.
class Bpe : public Model {
 public:
  // `byte_level`: the words are bytes, and a token is written with one letter for each of them.
  Bpe(const JsonNode& node, bool byte_level);
  // tiktoken's: byte-level tokens in the order of their ranks, which are their ids. Any two
  // neighbours that make a token are merged, the one of lowest rank first; a word that is a token
  // is left whole.
  explicit Bpe(std::vector<std::string> tokens);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  void read_merges(const JsonNode& node);
  void add_merge(std::string_view a, std::string_view b, std::size_t rank, const JsonNode& merges);
  bool make_byte_table();  // true: every byte has a token
  // Ids of the characters; characters without one become byte tokens, unk or nothing.
  void symbols(std::string_view word, std::vector<std::int32_t>& out) const;
  std::int32_t symbol(std::string_view word, std::size_t begin, std::size_t end,
                      std::string& scratch) const;
  bool fall_back(std::string_view word, std::size_t begin, std::size_t end,
                 std::vector<std::int32_t>& out) const;

  bool byte_level_;
  bool fuse_unk_ = false, ignore_merges_ = false, byte_fallback_ = false;
  std::int32_t unk_ = kNoId;
  std::string prefix_, suffix_;
  Merges merges_;
  // [not the first][the last][byte] of a word
  std::array<std::array<std::array<std::int32_t, 256>, 2>, 2> bytes_{};
  std::array<std::int32_t, 256> byte_tokens_{};
};

// Longest piece first (Wu et al., arXiv:1609.08144); linear but for the length of the longest
// token, which is bounded.
class WordPiece : public Model {
 public:
  explicit WordPiece(const JsonNode& node);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  std::int32_t unk_ = kNoId;
  std::int64_t max_chars_ = 100;
  PieceTree tree_;
};

// The pieces of the largest sum of scores (Kudo, arXiv:1804.10959); linear but for the length of
// the longest token, which is bounded.
class Unigram : public Model {
 public:
  explicit Unigram(const JsonNode& node);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  void emit(std::string_view run, bool unknown, std::int32_t id,
            std::vector<std::int32_t>& ids) const;

  std::int32_t unk_ = kNoId;
  bool byte_fallback_ = false;
  double unk_score_ = 0;
  std::vector<double> scores_;  // [id]
  PieceTree tree_;
  std::array<std::int32_t, 256> byte_tokens_{};
};

// A word is a token or unknown.
class WordLevel : public Model {
 public:
  explicit WordLevel(const JsonNode& node);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  std::int32_t unk_ = kNoId;
};

std::unique_ptr<Model> make_model(const JsonNode& node, bool byte_level);

}  // namespace tandem::text
