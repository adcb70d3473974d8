#pragma once
// SentencePiece's way with spaces: they are written as a mark, which also goes before the text.

#include <string>

#include "text/json_node.h"

namespace tandem::text {

struct Metaspace {
  enum class Prepend { always, first, never };

  // Of a pre-tokenizer or a decoder; Error(data) for anything else.
  explicit Metaspace(const JsonNode& node);

  std::string mark;  // one character
  Prepend prepend = Prepend::always;
  bool split = true;
};

}  // namespace tandem::text
