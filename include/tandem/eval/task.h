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
};

using Metrics = std::vector<std::pair<std::string, double>>;

struct Task {
  std::string name{};
  std::string doc{};
  std::function<Metrics(const Input&)> run{};
};

// One line each in src/eval/tasks.cpp.
const std::vector<Task>& tasks();
std::vector<std::string> task_names();
// Throws Error(config) when there is none of that name.
const Task& task(std::string_view name);

}  // namespace tandem::eval
