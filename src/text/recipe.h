#pragma once
// The parts of a system's tokenizer.json that do not depend on the vocabulary, as JSON.

#include <string>
#include <vector>

namespace tandem::text {

struct Recipe {
  std::vector<std::string> marks;  // special tokens
  // @NAME@ in post_processor is the id of a mark.
  const char *normalizer, *pre_tokenizer, *post_processor, *decoder;
};

extern const Recipe kClipRecipe, kGpt2Recipe, kQwen2Recipe, kBertRecipe;

}  // namespace tandem::text
