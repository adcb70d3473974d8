#pragma once
// Texts that stand beside a picture without being a caption of it.

#include "tandem/data/sample.h"

namespace tandem::data {

// A sentence of which it is known whether it is true (NLVR2), what follows (visual entailment), or
// a caption of a source of which some are wrong: the text alone, said of the picture, may be false.
inline bool has_verdict(const Sample& sample) {
  return sample.label >= 0 && sample.turns.empty() && sample.question.empty() &&
         sample.proposals.empty() && !sample.texts.empty();
}

}  // namespace tandem::data
