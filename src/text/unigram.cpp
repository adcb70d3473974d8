#include <algorithm>
#include <cmath>

#include "text/model.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr double kUnknownPenalty = 10;
constexpr std::size_t kMaxToken = 1024;  // bytes: bounds what a character may cost

std::vector<std::string> tokens_of(const JsonNode& vocab) {
  std::vector<std::string> tokens(vocab.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const JsonNode entry = vocab.at(i);
    if (entry.size() != 2) entry.fail("[\"token\", score]");
    tokens[i] = entry.at(std::size_t{0}).string();
    if (tokens[i].size() > kMaxToken) {
      entry.fail("a token of at most " + std::to_string(kMaxToken) + " bytes");
    }
  }
  return tokens;
}

}  // namespace

Unigram::Unigram(const JsonNode& node) : Model(Vocabulary(tokens_of(node.at("vocab")))) {
  node.only({"type", "unk_id", "vocab", "byte_fallback"});
  const JsonNode vocab = node.at("vocab");
  const auto count = static_cast<std::int64_t>(vocab.size());
  // Without one, `tokenizers` fails at the first character that it does not know.
  unk_ = static_cast<std::int32_t>(node.at("unk_id").integer(0, count - 1));
  byte_fallback_ = node.boolean_or("byte_fallback", false);
  find_byte_tokens(vocabulary(), byte_tokens_);
  double lowest = HUGE_VAL;
  std::size_t bytes = 0;
  scores_.reserve(vocab.size());
  for (std::size_t i = 0; i < vocab.size(); ++i) {
    scores_.push_back(vocab.at(i).at(std::size_t{1}).number());
    lowest = std::min(lowest, scores_.back());
    bytes += vocabulary().token(static_cast<std::int32_t>(i))->size();
  }
  unk_score_ = lowest - kUnknownPenalty;
  tree_ = PieceTree(1, bytes);
  for (std::int32_t id = 0; id < count; ++id) tree_.add(0, *vocabulary().token(id), id);
}

void Unigram::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  struct Node {  // the best way to its place
    double score;
    std::size_t begin;
    std::int32_t id = kNoId;  // of the last piece; kNoId: no way
  };
  static thread_local std::vector<Node> best;
  best.assign(word.size() + 1, Node{0, 0});
  const auto offer = [&](std::size_t begin, std::size_t end, double score, std::int32_t id) {
    Node& node = best[end];
    if (node.id == kNoId || score > node.score) node = {score, begin, id};
  };
  for (std::size_t at = 0; at < word.size();) {
    std::size_t after = at;
    next_char(word, after);
    bool single = false;  // the character is a piece
    std::uint64_t node = 0;
    for (std::size_t i = at; i < word.size(); ++i) {
      node = tree_.child(node, word[i]);
      if (node == PieceTree::kNone) break;
      const std::int32_t id = tree_.id(node);
      if (id == kNoId) continue;
      offer(at, i + 1, scores_[static_cast<std::size_t>(id)] + best[at].score, id);
      single = single || i + 1 == after;
    }
    if (!single) offer(at, after, unk_score_ + best[at].score, unk_);
    at = after;
  }
  // Backwards: a run of unknown pieces is one piece.
  static thread_local std::vector<std::size_t> ends;
  ends.clear();
  for (std::size_t end = word.size(); end > 0; end = best[end].begin) ends.push_back(end);
  std::size_t begin = 0;
  for (std::size_t i = ends.size(); i > 0; --i) {
    const std::size_t end = ends[i - 1];
    const bool unknown = best[end].id == unk_;
    if (unknown && i > 1 && best[ends[i - 2]].id == unk_) continue;
    emit(word.substr(begin, end - begin), unknown, best[end].id, ids);
    begin = end;
  }
  if (best.capacity() > 1u << 16) best = {}, ends = {};
}

void Unigram::emit(std::string_view run, bool unknown, std::int32_t id,
                   std::vector<std::int32_t>& ids) const {
  if (unknown) {
    id = vocabulary().find(run);  // together they may be a token that was not worth it
    if (id == kNoId && byte_fallback_ && append_byte_tokens(byte_tokens_, run, ids)) return;
    if (id == kNoId) id = unk_;
  }
  ids.push_back(id);
}

}  // namespace tandem::text
