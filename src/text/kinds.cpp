#include "tandem/text/kinds.h"

#include "tandem/base/error.h"

namespace tandem::text {

std::vector<std::string> tokenizer_kinds() { return {"clip", "gpt2", "wordpiece"}; }

Tokenizer train_tokenizer(std::string_view kind, std::span<const std::string> lines,
                          int vocab_size) {
  if (kind == "clip") return train_bpe(lines, vocab_size, BpeKind::clip);
  if (kind == "gpt2") return train_bpe(lines, vocab_size, BpeKind::gpt2);
  if (kind == "wordpiece") return train_wordpiece(lines, vocab_size);
  throw Error(ErrorKind::config,
              "[text] expected a kind of clip, gpt2, wordpiece; got '" + std::string(kind) + "'");
}

}  // namespace tandem::text
