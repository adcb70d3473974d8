#include "tandem/text/masking.h"

#include "tandem/base/error.h"

namespace tandem::text {

MaskingVocabulary masking_vocabulary(const Tokenizer& tokenizer) {
  MaskingVocabulary vocabulary;
  const auto mask = tokenizer.id_of("[MASK]");
  if (!mask) {
    throw Error(ErrorKind::config, "[masking] expected a tokenizer with [MASK]", "",
                "a BERT tokenizer has one; so has a vocabulary trained with model.vocabulary");
  }
  vocabulary.mask_id = *mask;
  vocabulary.vocab_size = tokenizer.vocab_size();
  const auto size = static_cast<std::size_t>(vocabulary.vocab_size);
  vocabulary.special.assign(size, false);
  vocabulary.continues.assign(size, false);
  for (const char* name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"}) {
    if (const auto id = tokenizer.id_of(name)) {
      vocabulary.special[static_cast<std::size_t>(*id)] = true;
    }
  }
  // An unknown word is hidden like any other.
  if (const auto id = tokenizer.id_of("[UNK]")) {
    vocabulary.special[static_cast<std::size_t>(*id)] = false;
  }
  for (std::int32_t id = 0; id < vocabulary.vocab_size; ++id) {
    try {
      vocabulary.continues[static_cast<std::size_t>(id)] =
          tokenizer.token_of(id).rfind("##", 0) == 0;
    } catch (const Error&) {  // a gap in the ids
    }
  }
  return vocabulary;
}

MaskedText mask_tokens(const std::vector<std::int32_t>& ids, const MaskingRule& rule,
                       const MaskingVocabulary& vocabulary, Key key) {
  const auto is = [](const std::vector<bool>& flags, std::int32_t id) {
    const auto index = static_cast<std::size_t>(id);
    return id >= 0 && index < flags.size() && flags[index];
  };
  std::vector<std::vector<std::size_t>> words;  // the units that are hidden as one
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (is(vocabulary.special, ids[i])) continue;
    const bool joins = rule.whole_words && is(vocabulary.continues, ids[i]) && !words.empty() &&
                       words.back().back() + 1 == i;
    if (joins) {
      words.back().push_back(i);
    } else {
      words.push_back({i});
    }
  }
  MaskedText masked{ids, std::vector<std::int64_t>(ids.size(), -100)};
  Random random(key.fold("mask"));
  std::vector<bool> hidden(words.size());
  bool any = false;
  for (std::size_t w = 0; w < words.size(); ++w) {
    hidden[w] = random.chance(rule.share);
    any = any || hidden[w];
  }
  if (!any && !words.empty()) hidden[random.below(words.size())] = true;
  for (std::size_t w = 0; w < words.size(); ++w) {
    if (!hidden[w]) continue;
    for (const std::size_t i : words[w]) {
      masked.labels[i] = ids[i];
      const double draw = random.uniform();
      if (draw < rule.as_mask) {
        masked.ids[i] = vocabulary.mask_id;
      } else if (draw < rule.as_mask + rule.as_random) {
        masked.ids[i] = static_cast<std::int32_t>(
            random.below(static_cast<std::uint64_t>(vocabulary.vocab_size)));
      }
    }
  }
  return masked;
}

}  // namespace tandem::text
