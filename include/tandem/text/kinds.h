#pragma once
// The kinds of vocabulary that can be trained, by name: clip, gpt2, wordpiece.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/text/tokenizer.h"

namespace tandem::text {

std::vector<std::string> tokenizer_kinds();

// Throws Error(config) for another kind, and what train_bpe and train_wordpiece throw.
Tokenizer train_tokenizer(std::string_view kind, std::span<const std::string> lines,
                          int vocab_size);

}  // namespace tandem::text
