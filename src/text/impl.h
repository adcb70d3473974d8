#pragma once
// The parts of a tokenizer, as the trainer and the handle share them.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tandem/text/tokenizer.h"
#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/model.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/sentencepiece.h"

namespace tandem::text {

struct Tokenizer::Impl {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<Model> model;
  const SentencePiece* sentencepiece = nullptr;  // the model, if it is one
  bool every_prefix = true;                      // its space goes before every piece of text
  AddedTokens added;
  Marks marks;
  Decoder decoder;
  bool cut_left = false;  // a text that is too long loses its begin
  std::int32_t vocab_size = 0;
  std::uint32_t number = next_number();  // of this tokenizer in the process, for WordCache
  std::vector<std::pair<std::string, std::string>> files;

  static std::uint32_t next_number();
  void encode_word(std::string_view word, std::vector<std::int32_t>& ids) const;
  // Ids of a text between added tokens, which is not empty.
  void encode_piece(std::string_view text, bool first, const PreTokenizer::Sink& word,
                    std::vector<std::int32_t>& ids) const;
  // Appends ids until there are `limit`, or a few more.
  void encode(std::string_view text, std::size_t limit, std::vector<std::int32_t>& ids) const;
  std::string decode_pieces(std::span<const std::int32_t> ids, bool keep_special) const;
  // The token as decoding sees it.
  std::optional<std::string_view> token(std::int32_t id) const;
};

}  // namespace tandem::text
