#pragma once
// Which tokens masked language modelling hides. Source: Devlin et al. 2019, 3.1; whole words:
// transformers:data/data_collator.py; ALBEF's rule: salesforce/ALBEF:models/model_pretrain.py.

#include <cstdint>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/text/tokenizer.h"

namespace tandem::text {

struct MaskingRule {
  double share = 0.15;       // of the tokens (or words) that may be hidden
  double as_mask = 0.8;      // of the hidden ones: shown as the mask token,
  double as_random = 0.1;    // as any token of the vocabulary; the rest stay as they are
  bool whole_words = false;  // pieces that begin with ## go with their word
};

struct MaskedText {
  std::vector<std::int32_t> ids{};     // what the model sees
  std::vector<std::int64_t> labels{};  // the hidden id, -100 where nothing is hidden
};

// What a vocabulary says about its tokens, looked up once.
struct MaskingVocabulary {
  std::int32_t mask_id = -1, vocab_size = 0;
  std::vector<bool> special{};    // by id: [CLS], [SEP], [PAD], ... are never hidden
  std::vector<bool> continues{};  // by id: begins with ##
};
// Throws Error(config) where the tokenizer has no [MASK].
MaskingVocabulary masking_vocabulary(const Tokenizer& tokenizer);

// Every token (or word) is hidden with probability `share`; when chance hides none of those that
// may be hidden, one of them is, so that each text has something to learn from.
MaskedText mask_tokens(const std::vector<std::int32_t>& ids, const MaskingRule& rule,
                       const MaskingVocabulary& vocabulary, Key key);

}  // namespace tandem::text
