#include "text/sentencepiece.h"

#include <algorithm>
#include <cfloat>

#include "text/decoder.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";
constexpr float kUnkPenalty = 10;

std::vector<std::string> texts_of(const SentencePieceFile& file) {
  std::vector<std::string> texts;
  texts.reserve(file.pieces.size());
  for (const SentencePieceFile::Piece& piece : file.pieces) texts.push_back(piece.text);
  return texts;
}

std::size_t bytes_of(const SentencePieceFile& file) {
  std::size_t bytes = 0;
  for (const SentencePieceFile::Piece& piece : file.pieces) bytes += piece.text.size();
  return bytes;
}

}  // namespace

SentencePiece::SentencePiece(const SentencePieceFile& file, const std::string& name)
    : Model(Vocabulary(texts_of(file))),
      bpe_(file.bpe),
      byte_fallback_(file.byte_fallback),
      dummy_prefix_(file.dummy_prefix),
      remove_extra_spaces_(file.remove_extra_spaces),
      escape_spaces_(file.escape_spaces),
      space_behind_(file.space_behind),
      unk_surface_(file.unk_surface),
      map_(file.charsmap, name + ": character map"),
      tree_(1, bytes_of(file)) {
  float lowest = FLT_MAX;
  largest_ = FLT_MIN;
  byte_tokens_.fill(kNoId);
  for (std::size_t i = 0; i < file.pieces.size(); ++i) {
    const SentencePieceFile::Piece& piece = file.pieces[i];
    const auto id = static_cast<std::int32_t>(i);
    scores_.push_back(piece.score);
    types_.push_back(static_cast<std::uint8_t>(piece.type));
    if (piece.type == SentencePieceFile::normal) {
      lowest = std::min(lowest, piece.score);
      largest_ = std::max(largest_, piece.score);
    }
    if (piece.type == SentencePieceFile::normal || piece.type == SentencePieceFile::user_defined) {
      tree_.add(0, piece.text, id);
    }
    if (piece.type == SentencePieceFile::user_defined) user_.add(0, piece.text, id);
    if (piece.type == SentencePieceFile::unknown) unk_ = id;
    if (piece.type == SentencePieceFile::byte) {
      byte_tokens_[static_cast<std::size_t>(byte_of_token(piece.text))] = id;
    }
  }
  unk_score_ = lowest - kUnkPenalty;
  if (bpe_) read_bpe(file);
}

void SentencePiece::read_bpe(const SentencePieceFile& file) {
  const auto count = static_cast<std::int32_t>(file.pieces.size());
  std::vector<float> order(scores_);
  std::sort(order.begin(), order.end(), std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  whole_.assign(file.pieces.size(), kNoId);
  const auto add_symbol = [&](std::int32_t piece) {
    symbols_.push_back(piece);
    return count + static_cast<std::int32_t>(symbols_.size()) - 1;
  };
  const auto exact = [](const PieceTree& tree, std::string_view text) {
    std::size_t end = 0;
    const std::int32_t id = tree.longest(0, text, 0, end);
    return end == text.size() ? id : kNoId;
  };
  // Characters first: those that are no pieces by themselves get a symbol that means unknown.
  const auto each_piece = [&](auto&& f) {
    for (std::int32_t id = 0; id < count; ++id) {
      const auto& piece = file.pieces[static_cast<std::size_t>(id)];
      const bool user = piece.type == SentencePieceFile::user_defined;
      if (user || piece.type == SentencePieceFile::normal) f(id, piece, user);
    }
  };
  each_piece([&](std::int32_t id, const SentencePieceFile::Piece& piece, bool user) {
    if (user) whole_[static_cast<std::size_t>(id)] = add_symbol(id);
    for (std::size_t at = 0; at < piece.text.size();) {
      const std::size_t begin = at;
      next_char(piece.text, at);
      const std::string_view one = std::string_view(piece.text).substr(begin, at - begin);
      if (exact(chars_, one) != kNoId) continue;
      const std::int32_t known = exact(tree_, one);
      chars_.add(0, one, known == kNoId ? add_symbol(unk_) : known);
    }
  });
  each_piece([&](std::int32_t id, const SentencePieceFile::Piece& piece, bool) {
    const auto rank = static_cast<std::uint32_t>(
        std::lower_bound(order.begin(), order.end(), piece.score, std::greater<>()) -
        order.begin());
    const std::string_view text = piece.text;
    const std::size_t chars = static_cast<std::size_t>(chars_in(text));
    std::size_t at = 0;
    for (std::size_t i = 1; i < chars; ++i) {
      next_char(text, at);
      const std::string_view sides[] = {text.substr(0, at), text.substr(at)};
      std::int32_t symbols[2];
      for (int k : {0, 1}) {
        const std::size_t length = k == 0 ? i : chars - i;
        symbols[k] = exact(length == 1 ? chars_ : tree_, sides[k]);
      }
      if (symbols[0] != kNoId && symbols[1] != kNoId) merges_.add(symbols[0], symbols[1], rank, id);
    }
  });
}

// What the text begins with: bytes of it, and what they become.
std::size_t SentencePiece::normalize_one(std::string_view text, std::string_view& made) const {
  std::size_t end = 0;
  if (user_.longest(0, text, 0, end) != kNoId) {
    made = text.substr(0, end);
    return end;
  }
  if (const auto found = map_.longest(text)) {
    made = found->replacement;
    return found->length;
  }
  next_char(text, end);
  made = text.substr(0, end);
  return end;
}

void SentencePiece::normalize(std::string_view text, bool prefix, std::string& out) const {
  out.clear();
  std::string_view made;
  while (remove_extra_spaces_ && !text.empty()) {
    const std::size_t length = normalize_one(text, made);
    if (made != " ") break;
    text.remove_prefix(length);
  }
  if (text.empty()) return;
  const std::string_view space = escape_spaces_ ? kSpaceMark : " ";
  const bool adds = prefix && dummy_prefix_;
  if (adds && !space_behind_) out += space;
  bool after_space = remove_extra_spaces_;
  while (!text.empty()) {
    const std::size_t length = normalize_one(text, made);
    text.remove_prefix(length);
    while (after_space && made.starts_with(' ')) made.remove_prefix(1);
    if (!made.empty()) {
      for (const char c : made) c == ' ' ? out.append(space) : out.append(1, c);
      after_space = made.back() == ' ';
    }
    if (!remove_extra_spaces_) after_space = false;
  }
  while (remove_extra_spaces_ && out.ends_with(space)) out.resize(out.size() - space.size());
  if (adds && space_behind_) out += space;
}

// Pieces to ids: bytes of unknown ones, or one id for a run of them.
struct SentencePiece::Emitter {
  const SentencePiece& model;
  std::vector<std::int32_t>& ids;
  bool after_unknown = false;

  void operator()(std::string_view piece, std::int32_t id) {
    const bool unknown = id == model.unk_;
    if (unknown && model.byte_fallback_) {
      append_byte_tokens(model.byte_tokens_, piece, ids);
    } else if (!unknown || !after_unknown) {
      ids.push_back(id);
    }
    after_unknown = unknown;
  }
};

void SentencePiece::encode_text(std::string_view text, bool prefix,
                                std::vector<std::int32_t>& ids) const {
  static thread_local std::string normalized;
  normalize(text, prefix, normalized);
  Emitter emitter{*this, ids};
  bpe_ ? encode_bpe(normalized, emitter) : encode_unigram(normalized, emitter);
  if (normalized.capacity() > 1u << 20) normalized = {};
}

// As unigram.cpp, but in single precision, which decides between ways of equal score.
void SentencePiece::encode_unigram(std::string_view text, Emitter& emitter) const {
  struct Node {
    float score;
    std::int32_t id;
    std::size_t begin;
  };
  static thread_local std::vector<Node> best;
  best.assign(text.size() + 1, Node{0, kNoId, 0});
  const auto offer = [&](std::size_t begin, std::size_t end, float score, std::int32_t id) {
    Node& node = best[end];
    if (node.id == kNoId || score > node.score) node = {score, id, begin};
  };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t after = at;
    next_char(text, after);
    const float before = best[at].score;
    bool single = false;
    std::uint64_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      node = tree_.child(node, text[i]);
      if (node == PieceTree::kNone) break;
      const std::int32_t id = tree_.id(node);
      if (id == kNoId) continue;
      const auto index = static_cast<std::size_t>(id);
      const auto length = static_cast<float>(i + 1 - at);
      const bool user = types_[index] == SentencePieceFile::user_defined;
      const float score = user ? length * largest_ - 0.1f : scores_[index];
      offer(at, i + 1, score + before, id);
      single = single || i + 1 == after;
    }
    if (!single) offer(at, after, unk_score_ + before, unk_);
    at = after;
  }
  static thread_local std::vector<std::size_t> ends;
  ends.clear();
  for (std::size_t end = text.size(); end > 0; end = best[end].begin) ends.push_back(end);
  std::size_t begin = 0;
  for (std::size_t i = ends.size(); i > 0; begin = ends[--i]) {
    emitter(text.substr(begin, ends[i - 1] - begin), best[ends[i - 1]].id);
  }
  if (best.capacity() > 1u << 16) best = {}, ends = {};
}

void SentencePiece::encode_bpe(std::string_view text, Emitter& emitter) const {
  static thread_local std::vector<std::int32_t> symbols;
  symbols.clear();
  const auto count = static_cast<std::int32_t>(types_.size());
  // A character that is in no piece: a negative symbol, with which nothing merges.
  std::vector<std::string_view> strangers;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    const std::int32_t user = user_.longest(0, text, at, end);
    if (user != kNoId) {
      symbols.push_back(whole_[static_cast<std::size_t>(user)]);
      at = end;
      continue;
    }
    next_char(text, end);
    const std::string_view one = text.substr(at, end - at);
    std::size_t length = 0;
    const std::int32_t known = chars_.longest(0, one, 0, length);
    if (known != kNoId && length == one.size()) {
      symbols.push_back(known);
    } else {
      strangers.push_back(one);
      symbols.push_back(-1 - static_cast<std::int32_t>(strangers.size()));
    }
    at = end;
  }
  merges_.apply(symbols);
  std::size_t at = 0;
  for (const std::int32_t symbol : symbols) {
    std::int32_t id = unk_;
    std::size_t length = 0;
    if (symbol < 0) {
      length = strangers[static_cast<std::size_t>(-2 - symbol)].size();
    } else {
      id = symbol < count ? symbol : symbols_[static_cast<std::size_t>(symbol - count)];
      std::size_t end = at;
      if (id == unk_) {
        next_char(text, end);
        length = end - at;
      } else {
        length = vocabulary().token(id)->size();
      }
    }
    emitter(text.substr(at, length), id);
    at += length;
  }
  if (symbols.capacity() > 1u << 16) symbols = {};
}

// As there, every byte that begins no character is one U+FFFD.
void SentencePiece::Decoding::settle() {
  const std::string_view bytes = bytes_;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto first = static_cast<unsigned char>(bytes[at]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    const std::string_view one = bytes.substr(at, length);
    const bool whole = one.size() == length && valid_utf8(one);
    text_ += whole ? one : std::string_view("\xEF\xBF\xBD");
    at += whole ? length : 1;
  }
  bytes_.clear();
}

void SentencePiece::Decoding::other(std::string_view text) {
  settle();
  at_begin_ = false;
  text_ += text;
}

void SentencePiece::Decoding::piece(std::int32_t id) {
  const int type = model_.types_[static_cast<std::size_t>(id)];
  std::string_view token = *model_.vocabulary().token(id);
  if (type == SentencePieceFile::byte) {
    bytes_.push_back(static_cast<char>(byte_of_token(token)));
    return;
  }
  settle();
  if (space_seen_ || !text_.empty()) at_begin_ = false;
  space_seen_ = false;
  if (type == SentencePieceFile::control) return;
  if (type == SentencePieceFile::unknown) {
    text_ += model_.unk_surface_;
    return;
  }
  if (at_begin_ && (model_.dummy_prefix_ || model_.remove_extra_spaces_) &&
      token.starts_with(kSpaceMark)) {
    token.remove_prefix(kSpaceMark.size());
    space_seen_ = !model_.remove_extra_spaces_;
  }
  for (std::size_t at = 0; at < token.size();) {
    const std::size_t mark = std::min(token.find(kSpaceMark, at), token.size());
    text_.append(token, at, mark - at);
    if (mark < token.size()) text_ += ' ';
    at = mark + kSpaceMark.size();
  }
}

std::string SentencePiece::Decoding::finish() {
  settle();
  return std::move(text_);
}

}  // namespace tandem::text
