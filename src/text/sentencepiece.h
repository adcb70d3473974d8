#pragma once
// SentencePiece's models (`tokenizer.model`, `spiece.model`): ids and decoded text as the Python
// package `sentencepiece` (0.2.3) gives them, for models of the kinds unigram and bpe; only ways of
// equal score behind a user-defined piece of a unigram model may be told apart otherwise.
//
// The library itself is not linked: it trusts its files (a character map of a crafted file makes it
// read outside of its memory), brings a second protobuf beside torch's, and needs a hundred bytes
// for each piece. Rules: google/sentencepiece, src/{normalizer,unigram_model,bpe_model,
// sentencepiece_processor}.cc.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/charsmap.h"
#include "text/model.h"

namespace tandem::text {

// The parts of the file that encoding and decoding need.
struct SentencePieceFile {
  enum Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    int type = normal;
  };
  std::vector<Piece> pieces;
  bool bpe = false, byte_fallback = false;
  bool dummy_prefix = true, remove_extra_spaces = true, escape_spaces = true, space_behind = false;
  std::string charsmap, unk_surface = " \u2047 ";

  // The first piece of that type, or "".
  std::string first(Type type) const;
};

// Error(data) with the file's name and the offset for anything that is no such model; with the
// number of the piece for pieces that the library would refuse, and for what is not supported:
// other kinds of models, unused pieces of a bpe model, rules for decoding.
SentencePieceFile read_sentencepiece(std::string_view bytes, const std::string& name);

class SentencePiece : public Model {
 public:
  SentencePiece(const SentencePieceFile& file, const std::string& name);

  // A text that stands alone.
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    encode_text(text, true, ids);
  }
  // `prefix`: the space that goes before a text is added, if the model adds one at all.
  void encode_text(std::string_view text, bool prefix, std::vector<std::int32_t>& ids) const;

  bool is_unknown(std::int32_t id) const { return id == unk_; }

  // Text of a sequence of pieces, which may have texts of other tokens between them.
  class Decoding {
   public:
    explicit Decoding(const SentencePiece& model) : model_(model) {}
    void piece(std::int32_t id);
    void other(std::string_view text);
    std::string finish();

   private:
    void settle();  // what bytes were held back

    const SentencePiece& model_;
    std::string text_, bytes_;
    bool at_begin_ = true, space_seen_ = false;
  };

 private:
  void read_bpe(const SentencePieceFile& file);
  void normalize(std::string_view text, bool prefix, std::string& out) const;
  std::size_t normalize_one(std::string_view text, std::string_view& made) const;
  struct Emitter;
  void encode_unigram(std::string_view text, Emitter& emitter) const;
  void encode_bpe(std::string_view text, Emitter& emitter) const;

  std::vector<float> scores_;  // [id]
  std::vector<std::uint8_t> types_;
  bool bpe_, byte_fallback_, dummy_prefix_, remove_extra_spaces_, escape_spaces_, space_behind_;
  std::string unk_surface_;
  std::int32_t unk_ = kNoId;
  float unk_score_ = 0, largest_ = 0;
  CharsMap map_;
  PieceTree tree_, user_;  // what a text is made of; of it what is never divided
  std::array<std::int32_t, 256> byte_tokens_{};
  // bpe: a symbol is a piece, or one of these behind them
  PieceTree chars_;                    // a character -> its symbol
  std::vector<std::int32_t> symbols_;  // [symbol - pieces] the piece: a whole one, or unknown
  std::vector<std::int32_t> whole_;    // [piece] the symbol of a piece that is never divided
  Merges merges_;
};

}  // namespace tandem::text
