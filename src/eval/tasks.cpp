// The evaluations a config may name: one line each.

#include <algorithm>

#include "eval/grounding.h"
#include "eval/labels.h"
#include "eval/loss.h"
#include "eval/retrieval.h"
#include "eval/zero_shot.h"
#include "tandem/base/error.h"
#include "tandem/eval/task.h"

namespace tandem::eval {

const std::vector<Task>& tasks() {
  static const std::vector<Task> table{
      {"retrieval", "pictures by captions and captions by pictures: recall at 1, 5 and 10",
       retrieval},
      {"hard", "the same within groups that differ in one detail: share of right first places",
       hard_retrieval},
      {"loss", "the losses of the stage, on batches of eval.batch samples in their order", loss},
      {"zero_shot", "pictures among classes that are described by templates: share of right ones",
       zero_shot},
      {"vqa", "questions with a list of answers: the mean score of the answers given", vqa},
      {"nlvr2", "sentences about two pictures, true or false: share of right ones", nlvr2},
      {"ve", "sentences that a picture entails, contradicts or neither: share of right ones",
       entailment},
      {"grounding", "where in a picture a text is: share of right places", grounding},
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
