#include "text/added_tokens.h"

#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr std::size_t kMaxTokens = 1u << 20;
constexpr std::size_t kMaxBytes = 1024;  // of a token: bounds what a place in the text may cost

}  // namespace

AddedTokens::Token AddedTokens::read(const JsonNode& node) const {
  node.only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  Token token;
  token.id = static_cast<std::int32_t>(node.at("id").integer(0, INT32_MAX - 1));
  token.content = node.at("content").string();
  if (token.content.size() > kMaxBytes) {
    node.at("content").fail("a token of at most " + std::to_string(kMaxBytes) + " bytes");
  }
  token.single_word = node.at("single_word").boolean();
  token.lstrip = node.at("lstrip").boolean();
  token.rstrip = node.at("rstrip").boolean();
  token.normalized = node.at("normalized").boolean();
  token.special = node.at("special").boolean();
  return token;
}

AddedTokens::AddedTokens(const JsonNode& node, const Vocabulary& vocabulary,
                         const Normalizer& normalizer, Ids ids) {
  const std::size_t count = node.size();
  if (count > kMaxTokens) node.fail("at most " + std::to_string(kMaxTokens) + " tokens");
  auto next = static_cast<std::int32_t>(vocabulary.count());
  std::unordered_map<std::string, std::int32_t> seen;
  std::unordered_set<std::int32_t> given;
  tokens_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Token token = read(node.at(i));
    if (token.content.empty()) continue;
    if (seen.contains(token.content)) node.at(i).fail("a token that was not added before");
    std::int32_t id = vocabulary.find(token.content);
    if (id == kNoId && ids == Ids::given) {
      const std::int64_t limit = std::int64_t{vocabulary.largest()} + 65536;
      id = static_cast<std::int32_t>(node.at(i).at("id").integer(0, limit));
      const bool taken = vocabulary.token(id).has_value() || !given.insert(id).second;
      if (taken) node.at(i).at("id").fail("an id of its own");
    }
    if (id == kNoId) id = next++;
    if (token.id != id) node.at(i).at("id").fail("the id " + std::to_string(id));
    seen.emplace(token.content, id);
    largest_ = std::max(largest_, id);
    token.shown = token.content;
    if (token.normalized && !normalizer.empty()) {
      std::string buffer, spare;
      token.shown = std::string(normalizer.apply(token.content, buffer, spare));
    }
    tokens_.push_back(std::move(token));
  }
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const Token& token = tokens_[i];
    by_content_.emplace(token.content, token.id);
    by_id_.emplace(token.id, i);
    if (token.special) special_.insert(token.content);
    (token.normalized ? normalized_ : raw_).add(token.shown, static_cast<int>(i));
  }
}

void AddedTokens::Tree::add(std::string_view text, int token) {
  if (text.empty()) return;
  std::uint64_t node = 0;
  for (const char byte : text) {
    const std::uint64_t key = node << 8 | static_cast<unsigned char>(byte);
    std::uint64_t after = edges.find(key);
    if (after == FlatMap::kNone) {
      after = ends.size();
      ends.push_back(-1);
      edges.set(key, after);
    }
    node = after;
  }
  if (ends[node] < 0) ends[node] = token;  // of two that normalize to the same text: the first
  first[static_cast<unsigned char>(text[0])] = true;
  empty = false;
}

int AddedTokens::Tree::longest(std::string_view text, std::size_t at, std::size_t& end) const {
  if (!first[static_cast<unsigned char>(text[at])]) return -1;
  int best = -1;
  std::uint64_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    node = edges.find(node << 8 | static_cast<unsigned char>(text[i]));
    if (node == FlatMap::kNone) break;
    if (ends[node] >= 0) {
      best = ends[node];
      end = i + 1;
    }
  }
  return best;
}

bool AddedTokens::adjust(const Token& token, std::string_view text, std::size_t done,
                         std::size_t& begin, std::size_t& end) const {
  const auto before = [&](std::size_t at) { return sets_of(previous_char(text, at)); };
  const auto behind = [&](std::size_t at) { return sets_of(next_char(text, at)); };
  if (token.single_word) {
    if (begin > 0 && (before(begin) & kWord) != 0) return false;
    if (end < text.size() && (behind(end) & kWord) != 0) return false;
  }
  if (token.lstrip) {
    while (begin > done && (before(begin) & kSpace) != 0) previous_char(text, begin);
    begin = std::max(begin, done);
  }
  if (token.rstrip) {
    while (end < text.size() && (behind(end) & kSpace) != 0) next_char(text, end);
  }
  return true;
}

std::int32_t AddedTokens::find(std::string_view content) const {
  const auto it = by_content_.find(content);
  return it == by_content_.end() ? kNoId : it->second;
}

std::optional<std::string_view> AddedTokens::token(std::int32_t id) const {
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return std::nullopt;
  return tokens_[it->second].shown;
}

std::optional<std::string_view> AddedTokens::content(std::int32_t id) const {
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return std::nullopt;
  return tokens_[it->second].content;
}

bool AddedTokens::is_special(std::string_view token) const { return special_.contains(token); }

}  // namespace tandem::text
