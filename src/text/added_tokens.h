#pragma once
// Added tokens: found in the text before (and, where `normalized`, after) it is normalized.

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/flat_map.h"
#include "text/json_node.h"
#include "text/normalizer.h"
#include "text/vocabulary.h"

namespace tandem::text {

class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(AddedTokens&&) = default;
  AddedTokens& operator=(AddedTokens&&) = default;
  enum class Ids { counted, given };
  // `added_tokens` of the file. A token of the model has its id there, others count up from the
  // size of the vocabulary, as `tokenizers` does, or have the id that is given; else Error(data).
  AddedTokens(const JsonNode& node, const Vocabulary& vocabulary, const Normalizer& normalizer,
              Ids ids);

  // f(piece, id): pieces of text between tokens have kNoId. Pieces are not empty.
  template <class F>
  void cut_raw(std::string_view text, F&& f) const {
    cut(raw_, text, f);
  }
  template <class F>
  void cut_normalized(std::string_view text, F&& f) const {
    cut(normalized_, text, f);
  }

  std::int32_t find(std::string_view content) const;
  // As decoding sees it: the normalized form of a normalized token.
  std::optional<std::string_view> token(std::int32_t id) const;
  std::optional<std::string_view> content(std::int32_t id) const;
  bool is_special(std::string_view token) const;
  std::int32_t largest() const { return largest_; }

 private:
  struct Token {
    std::string content, shown;
    std::int32_t id = kNoId;
    bool single_word = false, lstrip = false, rstrip = false, normalized = true, special = false;
  };
  // The longest token at each place, through a tree of bytes.
  struct Tree {
    FlatMap edges;              // node << 8 | byte -> node
    std::vector<int> ends{-1};  // [node] index of the token that ends there
    bool first[256] = {};       // bytes that tokens begin with
    bool empty = true;
    void add(std::string_view text, int token);
    int longest(std::string_view text, std::size_t at, std::size_t& end) const;
  };

  Token read(const JsonNode& node) const;
  // Whether the match counts; it may grow over spaces, to the left not before `done`.
  bool adjust(const Token& token, std::string_view text, std::size_t done, std::size_t& begin,
              std::size_t& end) const;

  template <class F>
  void cut(const Tree& tree, std::string_view text, F& f) const {
    std::size_t done = 0;
    for (std::size_t at = 0; !tree.empty && at < text.size();) {
      std::size_t begin = at, end = at;
      const int index = tree.longest(text, at, end);
      if (index < 0) {
        ++at;
        continue;
      }
      at = end;  // the search goes on behind the match as written, with the spaces that it took
      const Token& token = tokens_[static_cast<std::size_t>(index)];
      if (!adjust(token, text, done, begin, end)) continue;
      if (done < begin) f(text.substr(done, begin - done), kNoId);
      f(text.substr(begin, end - begin), token.id);
      done = end;
    }
    if (done < text.size()) f(text.substr(done), kNoId);
  }

  std::vector<Token> tokens_;
  std::unordered_map<std::string_view, std::int32_t> by_content_;  // into tokens_
  std::unordered_map<std::int32_t, std::size_t> by_id_;
  std::unordered_set<std::string_view> special_;
  Tree raw_, normalized_;
  std::int32_t largest_ = kNoId;
};

}  // namespace tandem::text
