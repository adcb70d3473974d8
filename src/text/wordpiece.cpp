#include "tandem/base/error.h"
#include "text/model.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr std::uint64_t kFirst = 0, kInner = 1;  // the two roots
constexpr std::size_t kMaxToken = 1024;          // bytes: bounds what a character may cost

}  // namespace

WordPiece::WordPiece(const JsonNode& node)
    : Model(Vocabulary(node.at("vocab"))), accepted_(2, kNoId) {
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
  edges_ = FlatMap(bytes);
  for (std::int32_t id = 0; id <= vocabulary().largest(); ++id) {
    const auto token = vocabulary().token(id);
    if (!token) continue;
    if (token->size() > kMaxToken) {
      node.at("vocab").at(*token).fail("a token of at most " + std::to_string(kMaxToken) +
                                       " bytes");
    }
    add(kFirst, *token, id);
    if (token->starts_with(prefix)) add(kInner, token->substr(prefix.size()), id);
  }
}

void WordPiece::add(std::uint64_t root, std::string_view token, std::int32_t id) {
  if (token.empty()) return;
  std::uint64_t node = root;
  for (const char byte : token) {
    const std::uint64_t key = node << 8 | static_cast<unsigned char>(byte);
    std::uint64_t next = edges_.find(key);
    if (next == FlatMap::kNone) {
      next = accepted_.size();
      accepted_.push_back(kNoId);
      edges_.set(key, next);
    }
    node = next;
  }
  accepted_[node] = id;
}

void WordPiece::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  const std::size_t before = ids.size();
  if (chars_in(word) > max_chars_) {
    ids.push_back(unk_);
    return;
  }
  for (std::size_t at = 0; at < word.size();) {
    std::uint64_t node = at == 0 ? kFirst : kInner;
    std::int32_t best = kNoId;
    std::size_t end = at;
    for (std::size_t i = at; i < word.size(); ++i) {
      node = edges_.find(node << 8 | static_cast<unsigned char>(word[i]));
      if (node == FlatMap::kNone) break;
      if (accepted_[node] != kNoId) {
        best = accepted_[node];
        end = i + 1;
      }
    }
    if (best == kNoId) {  // no piece fits: the whole word is unknown
      ids.resize(before);
      ids.push_back(unk_);
      return;
    }
    ids.push_back(best);
    at = end;
  }
}

std::unique_ptr<Model> make_model(const JsonNode& node, bool byte_level) {
  const auto type = node.find("type");
  const std::string kind = type ? type->string() : node.find("merges") ? "BPE" : "WordPiece";
  if (kind == "BPE") return std::make_unique<Bpe>(node, byte_level);
  if (kind == "WordPiece" && !byte_level) return std::make_unique<WordPiece>(node);
  if (kind == "WordPiece") node.fail("a BPE model behind the pre-tokenizer ByteLevel");
  type->fail("\"BPE\" or \"WordPiece\"");
}

}  // namespace tandem::text
