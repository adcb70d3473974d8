#include "eval/loss.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>
#include <string>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/data/loader.h"

namespace tandem::eval {
namespace {

// The sums and counts of every batch, in a row each: [batches, losses, 2] fp64.
class Table {
 public:
  Table(const Input& input, std::int64_t batches)
      : input_(input),
        cells_(at::zeros({batches, static_cast<std::int64_t>(input.request.weights.size()), 2},
                         at::kDouble)) {}

  void add(std::int64_t row, const data::StepBatches& step) {
    for (const data::BadSample& bad : step.bad) {
      log_warning("[eval] " + bad.replacement + " stands in for " + bad.id + ": " + bad.reason);
    }
    static const dist::Mesh alone;
    models::StepContext context;
    context.key = Key(0).fold("eval").fold(static_cast<std::uint64_t>(row));
    context.mesh = &alone;
    const Batch& host = step.micro_batches.at(0);
    // The counts are those that training divides by: the host knows them without the device.
    const std::map<std::string, double> counts = input_.model->counts(host, input_.request);
    const LossTerms terms = input_.model->losses(to(host, input_.device), input_.request, context);
    std::int64_t column = 0;
    for (const auto& [name, weight] : input_.request.weights) {
      const auto term = terms.find(name);
      const auto count = counts.find(name);
      TANDEM_CHECK(term != terms.end() && count != counts.end(),
                   "[eval] the model gave no loss " + name);
      cells_[row][column][0].copy_(term->second.sum);
      cells_[row][column++][1] = count->second;
    }
  }

  Metrics means() {
    // Each row was filled by one rank: adding zeros changes no bit.
    dist::all_reduce_sum(*input_.mesh, cells_);
    Metrics metrics;
    double total = 0;
    std::int64_t column = 0;
    for (const auto& [name, weight] : input_.request.weights) {
      double sum = 0, count = 0;
      for (std::int64_t row = 0; row < cells_.size(0); ++row) {
        sum += cells_[row][column][0].item<double>();
        count += cells_[row][column][1].item<double>();
      }
      ++column;
      metrics.emplace_back(name, sum / count);
      total += weight * (sum / count);
    }
    metrics.emplace_back("total", total);
    return metrics;
  }

 private:
  const Input& input_;
  at::Tensor cells_;
};

data::Loader loader_of(const Input& input, data::LoaderOptions options) {
  data::Order order(Key(0), {{.size = input.source->size()}}, data::Order::Mix::weights,
                    /*shuffle=*/false);
  options.threads = input.threads;
  options.pad_id = input.processor->pad_id;
  options.train = false;
  options.others = input.processor->others;
  return data::Loader({input.source}, std::move(order), input.processor->prepare, options);
}

}  // namespace

Metrics loss(const Input& input) {
  if (input.request.weights.empty()) {
    throw Error(ErrorKind::config, "[eval] expected losses to measure; got none", "",
                "`loss` is measured in training, by the losses of its stage");
  }
  const c10::NoGradGuard no_grad;
  const std::int64_t size = std::min(input.size, input.source->size());
  const std::int64_t whole = size / input.batch, rest = size % input.batch;
  const std::int64_t ranks = input.mesh->size(), rank = input.mesh->rank();
  Table table(input, whole + (rest > 0 ? 1 : 0));
  if (whole > 0) {
    data::Loader loader = loader_of(input, {.global_batch = input.batch * ranks,
                                            .micro_batch = input.batch,
                                            .rank = static_cast<int>(rank),
                                            .world_size = static_cast<int>(ranks),
                                            .end_position = whole * input.batch});
    for (std::int64_t first = 0; first < whole; first += ranks) {
      if (input.between) input.between();
      const data::StepBatches step = loader.next();
      if (first + rank < whole) table.add(first + rank, step);
    }
  }
  if (rest > 0 && rank == whole % ranks) {
    data::Loader loader = loader_of(input, {.global_batch = rest,
                                            .micro_batch = rest,
                                            .start_position = whole * input.batch,
                                            .end_position = size});
    table.add(whole, loader.next());
  }
  return table.means();
}

}  // namespace tandem::eval
