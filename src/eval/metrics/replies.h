#pragma once
// What a reply is worth, as the evaluations of the language-model systems count it: functions of
// texts.
// Sources: QwenLM/Qwen-VL aa00ed0:eval_mm (evaluate_vqa.py, infographicsvqa_eval.py,
// evaluate_grounding.py) and haotian-liu/LLaVA c121f04:llava/eval/eval_science_qa.py.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/data/sample.h"

namespace tandem::eval {

// ChartQA: numbers ("12%" is 0.12) that differ by at most `tolerance` of the right one, which is
// not 0; anything else must be equal but for case. The reply's surrounding spaces do not count.
bool relaxed_match(std::string_view reply, std::string_view right, double tolerance = 0.05);
bool relaxed_match(std::string_view reply, const std::vector<std::string>& right,
                   double tolerance = 0.05);

// GQA, OCR-VQA, AI2D: equal to one of the right answers but for case and surrounding spaces.
bool exact_match(std::string_view reply, const std::vector<std::string>& right);

// DocVQA, InfographicVQA: 1 - edits / letters of the longer text, of the best right answer; below
// `least` it is 0. Edits are those between the texts in lower case with single spaces, letters are
// counted as the texts stand. right: at least one.
double edit_similarity(std::string_view reply, const std::vector<std::string>& right,
                       double least = 0.5);
std::int64_t edit_distance(std::u32string_view a, std::u32string_view b);

// ScienceQA: the letter that a reply names, A to E: all of the reply is one, or it begins with "B.
// ", or it says "The answer is B" exactly once, with another character behind it; as a number from
// 0 below `choices`. nullopt: none.
std::optional<std::int64_t> chosen_letter(std::string_view reply, std::int64_t choices);

// The box of a reply in pixels of a picture of that size: the first "(a,b),(c,d)" with numbers of 0
// to `unit`; a box without area where there is none. The released evaluation takes 999.
data::Box relative_box(std::string_view reply, double width, double height, double unit = 999);
// The first "bbox_2d" in JSON, in pixels of a picture that was seen at another size.
data::Box absolute_box(std::string_view reply, double width, double height, double seen_width,
                       double seen_height);

// How often what is preferred has the higher reward; equal ones are not right. As many of both, at
// least one.
double preference_accuracy(const std::vector<double>& preferred,
                           const std::vector<double>& rejected);

}  // namespace tandem::eval
