#pragma once
// Questions with choices, answered by a letter.

#include "tandem/eval/task.h"

namespace tandem::eval {

// The reply to each question is read for the letter that it names (metrics/replies.h). A sample's
// `answer` is the right letter, and it has as many `answers` as there are choices. The model is
// asked what the sample's turns ask, or input.prompt with the question for {}. accuracy: share of
// right letters, a reply that names none is wrong; failed: share of those. Both of each kind, too.
Metrics letters(const Input& input);

}  // namespace tandem::eval
