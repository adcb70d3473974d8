#pragma once
// The accuracy of a free answer among people's answers, as the official evaluation of VQA v2 counts
// it (GT-Vision-Lab/VQA a013f00:PythonEvaluationTools/vqaEvaluation/vqaEval.py).

#include <string>
#include <string_view>
#include <vector>

namespace tandem::eval {

// Both forms are brought to: lower case, no articles, numbers up to ten as digits, apostrophes in
// contractions, punctuation removed or turned into a space. What the official code does beyond that
// is kept, too:
// - a mark of punctuation is removed if it touches a space somewhere in the text, or if the text
// has
//   a comma between digits; else each of it becomes a space;
// - a full stop goes unless a digit follows ("2." and ".x" lose theirs, ".5" does not), the first
// 32
//   of them;
// - "none" is 0, "somebody'd" becomes "somebodyd".
std::string normalised_answer(std::string_view answer);

// The mean, over the people, of min(1, n / 3), where n of the OTHER people said it. Where all
// people said the same, bytes are compared as they are, without normalisation (the official rule).
// people: 10 in VQA v2, at least one.
double answer_accuracy(std::string_view answer, const std::vector<std::string>& people);

}  // namespace tandem::eval
