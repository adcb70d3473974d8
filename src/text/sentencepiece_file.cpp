// Reading the protocol buffer of a SentencePiece model (its sentencepiece_model.proto).

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "tandem/base/error.h"
#include "text/decoder.h"
#include "text/sentencepiece.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr std::size_t kMaxPieces = 1u << 24;
constexpr std::size_t kMaxPiece = 1024;  // bytes: bounds what a character may cost

[[noreturn]] void fail(const std::string& name, std::size_t at, const std::string& what) {
  throw Error(ErrorKind::data, "[text] expected a SentencePiece model; got " + what,
              name + ": byte " + std::to_string(at));
}

struct Field {
  std::uint64_t number = 0, value = 0;  // value: of varints and of 4 bytes
  std::string_view bytes;               // of what has a length
};

class Message {
 public:
  Message(std::string_view bytes, const std::string& name, std::size_t offset)
      : bytes_(bytes), name_(name), offset_(offset) {}

  std::optional<Field> next() {
    if (at_ == bytes_.size()) return std::nullopt;
    const std::uint64_t key = varint();
    Field field{key >> 3, 0, {}};
    if ((key & 7) == 0) {
      field.value = varint();
    } else if ((key & 7) == 2) {
      const std::uint64_t size = varint();
      field.bytes = take(size);
    } else if ((key & 7) == 5) {
      std::uint32_t value;
      std::memcpy(&value, take(4).data(), 4);
      field.value = value;
    } else if ((key & 7) == 1) {
      take(8);
    } else {
      fail(name_, offset_ + at_, "a field of an unknown kind");
    }
    return field;
  }

  Message inner(const Field& field) const {
    return {field.bytes, name_,
            offset_ + static_cast<std::size_t>(field.bytes.data() - bytes_.data())};
  }
  std::size_t offset() const { return offset_ + at_; }
  const std::string& name() const { return name_; }

 private:
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) fail(name_, offset_ + at_, "fewer bytes than it says");
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail(name_, offset_ + at_, "a number of more than 64 bits");
  }

  std::string_view bytes_;
  const std::string& name_;
  std::size_t offset_, at_ = 0;
};

float as_float(std::uint64_t bits) {
  const auto word = static_cast<std::uint32_t>(bits);
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

SentencePieceFile::Piece read_piece(Message message) {
  SentencePieceFile::Piece piece;
  while (const auto field = message.next()) {
    if (field->number == 1) piece.text = field->bytes;
    if (field->number == 2) piece.score = as_float(field->value);
    if (field->number == 3)
      piece.type = static_cast<int>(std::min<std::uint64_t>(field->value, 99));
  }
  const bool known =
      piece.type >= SentencePieceFile::normal && piece.type <= SentencePieceFile::byte;
  if (piece.text.empty() || piece.text.size() > kMaxPiece || !valid_utf8(piece.text) || !known ||
      !std::isfinite(piece.score)) {
    fail(message.name(), message.offset(),
         "a piece without text, of more than 1,024 bytes, of an unknown type, or without a score");
  }
  return piece;
}

void read_trainer(Message message, SentencePieceFile& file) {
  while (const auto field = message.next()) {
    if (field->number == 3) {
      if (field->value != 1 && field->value != 2) {
        fail(message.name(), message.offset(),
             "one of words or characters, which is not supported");
      }
      file.bpe = field->value == 2;
    }
    if (field->number == 24) file.space_behind = field->value != 0;
    if (field->number == 35) file.byte_fallback = field->value != 0;
    if (field->number == 44) file.unk_surface = field->bytes;
  }
}

void read_normalizer(Message message, SentencePieceFile& file) {
  while (const auto field = message.next()) {
    if (field->number == 2) file.charsmap = field->bytes;
    if (field->number == 3) file.dummy_prefix = field->value != 0;
    if (field->number == 4) file.remove_extra_spaces = field->value != 0;
    if (field->number == 5) file.escape_spaces = field->value != 0;
  }
}

void check_pieces(const SentencePieceFile& file, const std::string& name) {
  std::unordered_set<std::string_view> seen[2];
  int unknown = 0;
  bool bytes[256] = {};
  for (std::size_t i = 0; i < file.pieces.size(); ++i) {
    const SentencePieceFile::Piece& piece = file.pieces[i];
    const auto refuse = [&](const std::string& what) {
      throw Error(ErrorKind::data, "[text] expected a SentencePiece model; got " + what,
                  name + ": piece " + std::to_string(i));
    };
    const bool plain = piece.type == SentencePieceFile::normal ||
                       piece.type == SentencePieceFile::user_defined ||
                       piece.type == SentencePieceFile::unused;
    if (!seen[plain].insert(piece.text).second) refuse("a piece that is there twice");
    if (piece.type == SentencePieceFile::unknown && ++unknown > 1) refuse("a second unknown piece");
    if (piece.type == SentencePieceFile::unused && file.bpe)
      refuse("an unused piece of a bpe model");
    if (piece.type == SentencePieceFile::byte) {
      const int value = byte_of_token(piece.text);
      if (value < 0 || !file.byte_fallback) refuse("a byte piece that is none");
      bytes[value] = true;
    }
  }
  const bool complete = std::find(std::begin(bytes), std::end(bytes), false) == std::end(bytes);
  if (unknown == 0 || (file.byte_fallback && !complete)) {
    throw Error(ErrorKind::data,
                "[text] expected an unknown piece, and 256 byte pieces if there are any; got fewer",
                name);
  }
}

}  // namespace

std::string SentencePieceFile::first(Type type) const {
  for (const Piece& piece : pieces) {
    if (piece.type == type) return piece.text;
  }
  return "";
}

SentencePieceFile read_sentencepiece(std::string_view bytes, const std::string& name) {
  SentencePieceFile file;
  Message message(bytes, name, 0);
  while (const auto field = message.next()) {
    if (field->number == 1) {
      if (file.pieces.size() == kMaxPieces) fail(name, message.offset(), "too many pieces");
      file.pieces.push_back(read_piece(message.inner(*field)));
    }
    if (field->number == 2) read_trainer(message.inner(*field), file);
    if (field->number == 3) read_normalizer(message.inner(*field), file);
    if (field->number == 5) {
      SentencePieceFile other;
      read_normalizer(message.inner(*field), other);
      if (!other.charsmap.empty()) fail(name, message.offset(), "rules for decoding");
    }
  }
  check_pieces(file, name);
  return file;
}

}  // namespace tandem::text
