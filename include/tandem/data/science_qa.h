#pragma once
// ScienceQA as it is released, as dialogues of one question and one answer: a folder with
// problems.json {ID: {"question", "choices", "answer": its place, "hint", "image": NAME or null,
// "lecture", "solution", "split", ..}}, pid_splits.json {SPLIT: [ID]} (train, val, test, and parts
// of them), and pictures images/SPLIT/ID/NAME, where SPLIT is the problem's own. captions.json
// {"captions": {ID: TEXT}} may be added to the hints.
//
// A problem is a sample; `form` says what of it is asked and what is answered, with the letters of
// Q question, C context (the hint, or N/A), M options, and L lecture, E explanation (the solution),
// A "The answer is B.". The texts are those of the released conversion, double spaces and line ends
// included. Besides turns, a sample has what is scored (evaluation `letters`): question, answer
// (the letter), answers (the right letter first, then the others with a score of 0), and its kind,
// "picture" or "text".
// Sources: lupantech/ScienceQA, README.md; haotian-liu/LLaVA c121f04:scripts/
// convert_sqa_to_llava.py, convert_sqa_to_llava_base_prompt.py, llava/eval/model_vqa_science.py.

#include <memory>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct ScienceQaSettings final : Settings {
  std::string path{};      // the folder of problems.json and pid_splits.json
  std::string pictures{};  // empty: its folder `images`
  std::vector<std::string> split{"train"};
  std::string form = "QCM-LEA";  // QCM-LEA, QCM-ALE, QCM-A, CQM-A
  std::string captions{};        // captions.json; empty: hints alone
  // A request for the letter alone behind the question, and the letter alone as the answer.
  bool ask_letter = false;

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no JSON of that layout, no split of that name, nothing that can be used.
std::unique_ptr<Source> open_science_qa(const ScienceQaSettings& settings);

}  // namespace tandem::data
