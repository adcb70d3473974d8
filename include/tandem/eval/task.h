#pragma once
// Evaluations: each states what it needs of a model and gives named numbers. The same result on any
// number of ranks: batches are fixed runs of the source, dealt to the ranks in turn, and every rank
// ranks the whole.

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tandem/data/source.h"
#include "tandem/dist/mesh.h"
#include "tandem/models/model.h"

namespace tandem::eval {

// A prediction with its picture, for a person: `tandem report` shows some.
struct Answer {
  std::string text{};
  std::int64_t picture = -1;  // index in the source; -1: none
  double score = 0;
  bool right = false;
};
struct Query {
  std::string text{};
  std::int64_t picture = -1;
  std::vector<Answer> answers{};
};

// What was predicted, beside how good it was. Filled on rank 0.
struct Predictions {
  std::vector<std::string> lines{};  // JSON, one a query, in the order of the source
  std::int64_t samples = 0;          // of each kind of query that are wanted below
  std::vector<Query> queries{};
};

struct Input {
  models::Model* model = nullptr;
  const models::Processor* processor = nullptr;
  std::shared_ptr<const data::Source> source{};
  std::int64_t size = 0;  // samples from the start of the source; more than it has: all
  std::int64_t batch = 64;
  int threads = 2;
  const dist::Mesh* mesh = nullptr;
  at::Device device{at::kCPU};
  models::LossRequest request{};  // of the losses that `loss` measures
  // Called by all ranks between batches; it may throw to end the evaluation. Empty: nothing.
  std::function<void()> between{};
  std::int64_t captions = 5;  // retrieval: of a picture, the first ones; 0: all
  // retrieval: of each query, so many of the best by cosine are ranked anew by matching; 0: none.
  // hard: above 0 all of a group are.
  std::int64_t rerank = 0;
  bool add_cosine = false;  // to the score of the match
  // caption, vqa: how the model writes, what its prompt is made of (empty: the family's own, or the
  // question), and how it answers questions: closed, ranked, generated; empty: the first of them
  // that it can.
  models::GenerateOptions generate{};
  std::string prompt{};
  std::string answers{};
  std::vector<std::string> candidates{};  // vqa, ranked: empty: the source's list
  std::int64_t first = 128;               // vqa, ranked: so many by their first token
  std::vector<std::string> classes{};     // zero_shot
  std::vector<std::string> templates{};   // zero_shot: texts with {}
  Predictions* predictions = nullptr;     // null: not wanted
};

using Metrics = std::vector<std::pair<std::string, double>>;

struct Task {
  std::string name{};
  std::string doc{};
  std::function<Metrics(const Input&)> run{};
  // Has a model what it takes? Empty: every model has.
  std::function<bool(const models::Abilities&)> can{};
  bool is_loss = false;  // a loss of that name trains for it
};

// One line each in src/eval/tasks.cpp.
const std::vector<Task>& tasks();
std::vector<std::string> task_names();
// Throws Error(config) when there is none of that name.
const Task& task(std::string_view name);

}  // namespace tandem::eval
