#pragma once
// Questions about pictures, as they are released.
//   * VQAv2 (`format: vqa`): v2_OpenEnded_mscoco_train2014_questions.json {"data_subtype",
//     "questions": [{"question_id", "image_id", "question"}]} and
//     v2_mscoco_train2014_annotations.json {"annotations": [{"question_id",
//     "multiple_choice_answer", "answer_type", "answers": [{"answer"}]}]}; the test splits have no
//     annotations.
//   * Visual Genome (`format: visual_genome_qa`): question_answers.json [{"id", "qas": [{"qa_id",
//     "question", "answer"}]}]; pictures VG_100K/ID.jpg and VG_100K_2/ID.jpg.
// A question is a sample. Sources: visualqa.org, "VQA Annotation format"; visualgenome.org, "API";
// the closed list as in ViLT's vilt/utils/write_vqa.py.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct VqaSettings final : Settings {
  std::string questions{}, annotations{};
  std::string pictures{};
  std::string name = "COCO_{split}_{image:012}.jpg";
  // The closed list: a file, or the answers that are the question's main one at least `least` times
  // in `annotations` and `also_count` (VQAv2's train and val: 3,129 of at least 9).
  std::string answers = "closed";  // closed, open
  std::string answer_list{};
  std::string also_count{};
  std::int64_t least = 9;
  std::string scores =
      "soft";  // soft: 0.3, 0.6, 0.9, 1 for 1, 2, 3 and more people; share: of them
  bool keep_unanswered = false;

  void fields(FieldVisitor& visitor) override;
};

struct VisualGenomeQaSettings final : Settings {
  std::string path{};
  std::string pictures{};
  std::string answers = "closed";  // closed (needs answer_list), open
  std::string answer_list{};
  double score = 1;  // of its one answer

  void fields(FieldVisitor& visitor) override;
};

// Throw Error(data): no JSON of that layout, nothing that can be used, no list.
std::unique_ptr<Source> open_vqa(const VqaSettings& settings);
std::unique_ptr<Source> open_visual_genome_qa(const VisualGenomeQaSettings& settings);

// An answer as VQA compares them: lower case, digits for small numbers, without articles and
// punctuation, contractions with their apostrophes.
std::string normalized_answer(std::string_view answer);

// The closed list of annotation files together, as open_vqa counts it: the normalised main answers
// of at least `least` questions, in the order in which they come first. Throws Error(data) for a
// file that is none, and where no answer comes so often.
std::vector<std::string> main_answers(const std::vector<std::string>& annotations,
                                      std::int64_t least);

// A file of answers: a JSON list, a JSON object of answer -> place, or a line each.
std::vector<std::string> read_answer_list(const std::string& path);

}  // namespace tandem::data
