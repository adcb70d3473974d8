#pragma once
// From tokens back to text.

#include <string>
#include <string_view>
#include <vector>

#include "text/json_node.h"
#include "text/pattern.h"

namespace tandem::text {

// The byte of a token like <0x41>, or -1.
int byte_of_token(std::string_view token);

class Decoder {
 public:
  Decoder() = default;  // joins the tokens with spaces
  // Sequence, ByteLevel, ByteFallback, Metaspace, WordPiece, BPEDecoder, Replace, Fuse, Strip; any
  // other: Error(data).
  explicit Decoder(const JsonNode& node);

  std::string decode(std::vector<std::string> tokens) const;

 private:
  enum class Kind { byte_level, byte_fallback, metaspace, word_piece, bpe, replace, fuse, strip };
  struct Step {
    Kind kind;
    std::string text;                  // prefix, suffix, new text, or the character to strip
    std::vector<Pattern> pattern;      // replace: one
    bool cleanup = false;              // metaspace: the first token loses its spaces
    std::int64_t start = 0, stop = 0;  // strip: how many at most
  };

  void add(const JsonNode& node);
  static void apply(const Step& step, std::vector<std::string>& tokens);

  bool joins_with_spaces_ = true;
  std::vector<Step> steps_;
};

}  // namespace tandem::text
