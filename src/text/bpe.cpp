#include "text/byte_level.h"
#include "text/model.h"
#include "text/unicode.h"

namespace tandem::text {

void find_byte_tokens(const Vocabulary& vocabulary, std::array<std::int32_t, 256>& tokens) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    tokens[byte] =
        vocabulary.find(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + '>');
  }
}

bool append_byte_tokens(const std::array<std::int32_t, 256>& tokens, std::string_view bytes,
                        std::vector<std::int32_t>& ids) {
  const std::size_t before = ids.size();
  for (const char byte : bytes) {
    const std::int32_t id = tokens[static_cast<unsigned char>(byte)];
    if (id == kNoId) {
      ids.resize(before);
      return false;
    }
    ids.push_back(id);
  }
  return true;
}

Bpe::Bpe(const JsonNode& node, bool byte_level)
    : Model(Vocabulary(node.at("vocab"))), byte_level_(byte_level) {
  node.only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
             "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (const auto dropout = node.find("dropout")) {
    if (!dropout->value().is_number() || dropout->value().get<double>() != 0) {
      dropout->fail("no dropout");
    }
  }
  byte_fallback_ = node.boolean_or("byte_fallback", false);
  fuse_unk_ = node.boolean_or("fuse_unk", false);
  ignore_merges_ = node.boolean_or("ignore_merges", false);
  if (const auto prefix = node.find("continuing_subword_prefix")) prefix_ = prefix->string();
  if (const auto suffix = node.find("end_of_word_suffix")) suffix_ = suffix->string();
  const auto unk = node.find("unk_token");
  if (unk) unk_ = vocabulary().find(unk->string());
  read_merges(node.at("merges"));
  if (byte_fallback_) find_byte_tokens(vocabulary(), byte_tokens_);
  const bool complete = byte_level_ && make_byte_table();
  if (unk && unk_ == kNoId && !complete) unk->fail("a token of the vocabulary");
}

Bpe::Bpe(std::vector<std::string> tokens)
    : Model(Vocabulary(tokens)), byte_level_(true), ignore_merges_(true) {
  merges_ = Merges(4 * tokens.size());
  for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
    const std::string& token = tokens[rank];
    for (std::size_t at = 0; at < token.size();) {
      next_char(token, at);
      if (at == token.size()) break;
      const std::int32_t left = vocabulary().find(std::string_view(token).substr(0, at));
      if (left == kNoId) continue;
      const std::int32_t right = vocabulary().find(std::string_view(token).substr(at));
      const auto made = static_cast<std::int32_t>(rank);
      if (right != kNoId) merges_.add(left, right, static_cast<std::uint32_t>(rank), made);
    }
  }
  make_byte_table();
}

void Bpe::read_merges(const JsonNode& node) {
  merges_ = Merges(node.size());
  std::size_t rank = 0;
  for (const auto& merge : node.value()) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      add_merge(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(),
                rank, node);
    } else if (merge.is_string()) {  // "a b", as files had it before 2024
      const std::string_view text = merge.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        node.at(rank).fail("two tokens and one space");
      }
      add_merge(text.substr(0, space), text.substr(space + 1), rank, node);
    } else {
      node.at(rank).fail("[\"left\", \"right\"]");
    }
    ++rank;
  }
}

void Bpe::add_merge(std::string_view a, std::string_view b, std::size_t rank,
                    const JsonNode& merges) {
  const std::int32_t left = vocabulary().find(a), right = vocabulary().find(b);
  // A merge has to make a longer token: else it could go on for ever.
  if (left == kNoId || right == kNoId || b.size() <= prefix_.size()) {
    merges.at(rank).fail("two tokens of the vocabulary");
  }
  const std::string joined = std::string(a) + std::string(b.substr(prefix_.size()));
  const std::int32_t made = vocabulary().find(joined);
  if (made == kNoId) merges.at(rank).fail("tokens whose union is in the vocabulary");
  merges_.add(left, right, static_cast<std::uint32_t>(rank), made);
}

bool Bpe::make_byte_table() {
  bool complete = true;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::string letter;
    append_char(letter, byte_letters()[byte]);
    for (const bool inner : {false, true}) {
      for (const bool last : {false, true}) {
        const std::string token = (inner ? prefix_ : "") + letter + (last ? suffix_ : "");
        bytes_[inner][last][byte] = vocabulary().find(token);
        complete = complete && bytes_[inner][last][byte] != kNoId;
      }
    }
  }
  return complete;
}

std::int32_t Bpe::symbol(std::string_view word, std::size_t begin, std::size_t end,
                         std::string& scratch) const {
  const bool inner = begin != 0, last = end == word.size();
  if (byte_level_) return bytes_[inner][last][static_cast<unsigned char>(word[begin])];
  if ((!inner || prefix_.empty()) && (!last || suffix_.empty())) {
    return vocabulary().find(word.substr(begin, end - begin));
  }
  scratch.assign(inner ? prefix_ : "").append(word.substr(begin, end - begin));
  if (last) scratch += suffix_;
  return vocabulary().find(scratch);
}

bool Bpe::fall_back(std::string_view word, std::size_t begin, std::size_t end,
                    std::vector<std::int32_t>& out) const {
  if (!byte_fallback_) return false;
  if (byte_level_) {  // the words' letters are what `tokenizers` would look for
    std::string letters;
    append_letters(letters, word.substr(begin, end - begin));
    return append_byte_tokens(byte_tokens_, letters, out);
  }
  const std::size_t before = out.size();
  const bool first = begin == 0, last = end == word.size();
  if ((first || append_byte_tokens(byte_tokens_, prefix_, out)) &&
      append_byte_tokens(byte_tokens_, word.substr(begin, end - begin), out) &&
      (!last || append_byte_tokens(byte_tokens_, suffix_, out))) {
    return true;
  }
  out.resize(before);
  return false;
}

void Bpe::symbols(std::string_view word, std::vector<std::int32_t>& out) const {
  bool unknown = false;  // an unk is due
  std::string scratch;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t begin = at;
    byte_level_ ? static_cast<void>(++at) : static_cast<void>(next_char(word, at));
    const std::int32_t id = symbol(word, begin, at, scratch);
    if (id != kNoId) {
      if (unknown) out.push_back(unk_);
      unknown = false;
      out.push_back(id);
    } else if (!fall_back(word, begin, at, out) && unk_ != kNoId) {
      if (unknown && !fuse_unk_) out.push_back(unk_);
      unknown = true;
    }
  }
  if (unknown) out.push_back(unk_);
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (ignore_merges_) {
    std::string letters;
    if (byte_level_) append_letters(letters, word);
    const std::int32_t id = vocabulary().find(byte_level_ ? std::string_view(letters) : word);
    if (id != kNoId) {
      ids.push_back(id);
      return;
    }
  }
  static thread_local std::vector<std::int32_t> scratch;
  scratch.clear();
  symbols(word, scratch);
  merges_.apply(scratch);
  ids.insert(ids.end(), scratch.begin(), scratch.end());
  if (scratch.capacity() > (1u << 16)) scratch = {};
}

}  // namespace tandem::text
