// The evaluations a config may name: one line each.

#include <algorithm>

#include "eval/grounding.h"
#include "eval/labels.h"
#include "eval/letters.h"
#include "eval/loss.h"
#include "eval/preference.h"
#include "eval/retrieval.h"
#include "eval/writing.h"
#include "eval/written_boxes.h"
#include "eval/zero_shot.h"
#include "tandem/base/error.h"
#include "tandem/eval/task.h"

namespace tandem::eval {

namespace {

using models::Abilities;

bool ranks_pairs(const Abilities& can) {
  return (can.embed_image && can.embed_text) || can.match || can.match_score;
}
bool embeds(const Abilities& can) { return can.embed_image && can.embed_text; }
bool classifies(const Abilities& can) { return static_cast<bool>(can.classify); }
bool writes(const Abilities& can) { return static_cast<bool>(can.generate); }
bool replies(const Abilities& can) { return can.generate && !can.captions_only; }
bool answers(const Abilities& can) {
  return can.classify || can.rank || (can.generate && !can.captions_only);
}
bool prefers(const Abilities& can) { return static_cast<bool>(can.prefer); }
bool locates(const Abilities& can) { return static_cast<bool>(can.locate); }

}  // namespace

const std::vector<Task>& tasks() {
  static const std::vector<Task> table{
      {"retrieval", "pictures by captions and captions by pictures: recall at 1, 5 and 10",
       retrieval, ranks_pairs},
      {"hard", "the same within groups that differ in one detail: share of right first places",
       hard_retrieval, ranks_pairs},
      {"loss", "the losses of the stage, on batches of eval.batch samples in their order", loss},
      {"zero_shot", "pictures among classes that are described by templates: share of right ones",
       zero_shot, embeds},
      {"vqa", "questions: the mean score of the answers that are chosen, ranked or written", vqa,
       answers, true},
      {"caption", "what the model writes of pictures: BLEU, ROUGE-L and CIDEr against their texts",
       caption, writes},
      {"nlvr2", "sentences about two pictures, true or false: share of right ones", nlvr2,
       classifies, true},
      {"ve", "sentences that a picture entails, contradicts or neither: share of right ones",
       entailment, classifies, true},
      {"grounding", "where in a picture a text is: share of right places", grounding, locates},
      {"boxes", "the same as the model writes it: share of boxes with an IoU of 0.5 or more",
       written_boxes, writes},
      {"letters", "questions with choices: share of replies that name the right letter", letters,
       replies},
      {"preference", "pairs of answers: share of pairs whose chosen answer is the likelier one",
       preference, prefers},
  };
  return table;
}

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const Task& one : tasks()) names.push_back(one.name);
  return names;
}

const Task& task(std::string_view name) {
  const auto it = std::find_if(tasks().begin(), tasks().end(),
                               [&](const Task& one) { return one.name == name; });
  if (it != tasks().end()) return *it;
  std::string known;
  for (const Task& one : tasks()) known += (known.empty() ? "" : ", ") + one.name;
  throw Error(ErrorKind::config,
              "[eval] expected a task of {" + known + "}; got '" + std::string(name) + "'");
}

}  // namespace tandem::eval
