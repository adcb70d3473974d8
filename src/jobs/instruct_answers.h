#pragma once
// What a language model answered, read and judged: questions with answers, or why it is of no use.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tandem/jobs/instruct.h"

namespace tandem::jobs {

// Questions and answers of a text of lines "Question:" and "Answer:", each with what follows it up
// to the next such line or a line of "="; empty `why`: they alternate, begin with a question, end
// with an answer, and none is empty.
struct AnsweredPairs {
  std::vector<std::pair<std::string, std::string>> pairs{};
  std::string why{};
};
AnsweredPairs answered_pairs(std::string_view text);

// The answer as pairs; a description has an empty question. `why` otherwise is "REASON" or
// "REASON: DETAIL", with one of the reasons that make_instructions counts.
AnsweredPairs judged_answer(std::string_view kind, std::string_view text,
                            const InstructLimits& limits);

// Words between spaces.
std::int64_t word_count(std::string_view text);

}  // namespace tandem::jobs
