#include "text/model.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr std::uint64_t kFirst = 0, kInner = 1;  // the two roots
constexpr std::size_t kMaxWordPiece = 1024;      // bytes: bounds what a character may cost

}  // namespace

WordPiece::WordPiece(const JsonNode& node) : Model(Vocabulary(node.at("vocab"))) {
  node.only(
      {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
  max_chars_ = node.at("max_input_chars_per_word").integer(0, INT32_MAX);
  unk_ = vocabulary().find(node.at("unk_token").string());
  if (unk_ == kNoId) node.at("unk_token").fail("a token of the vocabulary");
  const std::string prefix = node.at("continuing_subword_prefix").string();
  std::size_t bytes = 0;
  for (std::int32_t id = 0; id <= vocabulary().largest(); ++id) {
    if (const auto token = vocabulary().token(id)) bytes += token->size();
  }
  tree_ = PieceTree(2, bytes);
  for (std::int32_t id = 0; id <= vocabulary().largest(); ++id) {
    const auto token = vocabulary().token(id);
    if (!token) continue;
    if (token->size() > kMaxWordPiece) {
      node.at("vocab").at(*token).fail("a token of at most " + std::to_string(kMaxWordPiece) +
                                       " bytes");
    }
    tree_.add(kFirst, *token, id);
    if (token->starts_with(prefix)) tree_.add(kInner, token->substr(prefix.size()), id);
  }
}

void WordPiece::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  const std::size_t before = ids.size();
  if (chars_in(word) > max_chars_) {
    ids.push_back(unk_);
    return;
  }
  for (std::size_t at = 0; at < word.size();) {
    std::size_t end = at;
    const std::int32_t best = tree_.longest(at == 0 ? kFirst : kInner, word, at, end);
    if (best == kNoId) {  // no piece fits: the whole word is unknown
      ids.resize(before);
      ids.push_back(unk_);
      return;
    }
    ids.push_back(best);
    at = end;
  }
}

}  // namespace tandem::text
