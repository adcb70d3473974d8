#pragma once
// The one answer that stands for all of a question's.

#include <string>

#include "tandem/data/sample.h"

namespace tandem::data {

// `answer`, else the best one of `answers`; empty where there is none.
inline const std::string& best_answer(const Sample& sample) {
  return sample.answer.empty() && !sample.answers.empty() ? sample.answers[0].text : sample.answer;
}

}  // namespace tandem::data
