#pragma once
// The kinds of vocabulary that can be trained, by name: clip, gpt2, wordpiece; vicuna, qwen
// and qwen1 (the first release), which are gpt2 with the marks of those systems' dialogues and
// pictures.

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

// A tokenizer of as many tokens as the kind's best known one (BERT's 30522, CLIP's 49408, GPT-2's
// 50257), most of which no text has: for the plan of a run whose own is not there.
Tokenizer stand_in_tokenizer(std::string_view kind);

}  // namespace tandem::text
