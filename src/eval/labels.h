#pragma once
// Tasks whose answer is one of a fixed list. A model answers by the logits of Abilities::classify;
// the answer is the one with the highest. Where several are equally high, or one is no number, it
// has no answer: that counts as wrong.

#include "tandem/eval/task.h"

namespace tandem::eval {

// Questions about a picture (VQA, closed). accuracy: the mean score of the answers given, by
// Sample::answers (VQAv2: the official accuracy of the people's answers), and of each kind of
// question. A question none of whose answers is in the list counts as 0.
Metrics closed_answers(const Input& input);

// A sentence about two pictures (NLVR2): accuracy, of each kind, and of each label.
Metrics nlvr2(const Input& input);

// Whether a picture entails a sentence (SNLI-VE): the same, with three labels.
Metrics entailment(const Input& input);

}  // namespace tandem::eval
