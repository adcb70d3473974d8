#include "train/step.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include "tandem/base/error.h"
#include "tandem/objectives/itc.h"
#include "tandem/tensor/autocast.h"

namespace tandem::train {
namespace {

class Pass {
 public:
  Pass(models::Model& model, const StepSettings& settings, Key key, std::int64_t step)
      : model_(model), settings_(settings), key_(key), step_(step) {}

  // The key follows from where the micro-batch stands in the global order: the same samples draw
  // the same numbers on any rank. Torch's own generator serves dropout; it is set anew for every
  // pass of every micro-batch.
  models::StepContext context(std::int64_t micro_batch, const Batch& batch) const {
    models::StepContext ctx;
    ctx.step = step_;
    ctx.micro_batch = micro_batch;
    const std::int64_t first = batch.positions.empty() ? micro_batch : batch.positions.front();
    ctx.key = key_.fold(static_cast<std::uint64_t>(first));
    ctx.mesh = settings_.mesh;
    ctx.recompute = settings_.recompute;
    ctx.broken = settings_.broken;
    at::manual_seed(ctx.key.fold("torch").bits());
    return ctx;
  }

  // The first of two passes; null when the model has no contrastive loss or one pass will do.
  std::shared_ptr<const objectives::ItcSolution> solve(const std::vector<Batch>& batches) const {
    if (batches.size() < 2) return nullptr;
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> images, texts;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const models::StepContext ctx = context(static_cast<std::int64_t>(i), batches[i]);
      const Autocast scope(settings_.device.type(), autocast());
      const models::Features features = model_.features(batches[i], settings_.request, ctx);
      if (!features.image.defined()) return nullptr;
      images.push_back(features.image);
      texts.push_back(features.text);
    }
    return model_.solve({at::cat(images), at::cat(texts)}, settings_.request,
                        context(0, batches.front()));
  }

  LossTerms losses(const Batch& batch, models::StepContext ctx) const {
    const Autocast scope(settings_.device.type(), autocast());
    return model_.losses(batch, settings_.request, ctx);
  }

 private:
  AutocastSetting autocast() const {
    AutocastSetting setting = autocast_setting(settings_.device.type());
    if (settings_.bf16) setting = {true, at::kBFloat16, true};
    return setting;
  }

  models::Model& model_;
  const StepSettings& settings_;
  Key key_;
  std::int64_t step_;
};

}  // namespace

std::map<std::string, double> global_counts(const models::Model& model,
                                            const std::vector<Batch>& micro_batches,
                                            const StepSettings& settings) {
  std::map<std::string, double> counts;
  for (const auto& [name, weight] : settings.request.weights) counts[name] = 0;
  for (const Batch& batch : micro_batches) {
    for (const auto& [name, count] : model.counts(batch, settings.request)) {
      const auto it = counts.find(name);
      if (it != counts.end()) it->second += count;
    }
  }
  at::Tensor sums = at::zeros({static_cast<std::int64_t>(counts.size())}, at::kDouble);
  auto* values = sums.mutable_data_ptr<double>();
  for (const auto& [name, count] : counts) *values++ = count;
  dist::all_reduce_sum(*settings.mesh, sums);
  const auto* reduced = sums.const_data_ptr<double>();
  for (auto& [name, count] : counts) {
    count = *reduced++;
    if (!(count > 0)) {
      throw Error(ErrorKind::data, "[" + name +
                                       "] expected something to learn from in the batch; "
                                       "got no row or token that this loss counts");
    }
  }
  return counts;
}

StepLosses forward_backward(models::Model& model, const std::vector<Batch>& micro_batches,
                            const StepSettings& settings, dist::GradSync& sync, Key key,
                            std::int64_t step) {
  const std::map<std::string, double> counts = global_counts(model, micro_batches, settings);
  std::vector<Batch> batches;
  // All copies start at once, beside what the device still computes of the step before.
  for (const Batch& batch : micro_batches) settings.lane->push(batch);
  for (std::size_t i = 0; i < micro_batches.size(); ++i) batches.push_back(settings.lane->pop());
  const Pass pass(model, settings, key, step);
  const auto solution = pass.solve(batches);
  std::map<std::string, at::Tensor> sums;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    models::StepContext ctx = pass.context(static_cast<std::int64_t>(i), batches[i]);
    ctx.contrast = solution.get();
    ctx.contrast_first = first;
    first += batches[i].size();
    const LossTerms terms = pass.losses(batches[i], ctx);
    at::Tensor total;
    for (const auto& [name, weight] : settings.request.weights) {
      const auto term = terms.find(name);
      TANDEM_CHECK(term != terms.end(), "[step] the model gave no loss " + name);
      const at::Tensor sum = term->second.sum.to(at::kFloat);
      const at::Tensor part = sum * (weight / counts.at(name));
      total = total.defined() ? total + part : part;
      at::Tensor& kept = sums[name];
      kept = kept.defined() ? kept + sum.detach() : sum.detach();
    }
    if (i + 1 == batches.size()) sync.arm();
    total.backward();
    batches[i] = Batch{};
  }
  sync.finish();

  std::vector<at::Tensor> means;
  for (const auto& [name, sum] : sums) means.push_back(sum.to(at::kDouble) / counts.at(name));
  at::Tensor all = at::stack(means);
  dist::all_reduce_sum(*settings.mesh, all);
  StepLosses losses{{"loss", at::Tensor()}};
  at::Tensor loss;
  std::int64_t index = 0;
  for (const auto& [name, sum] : sums) {
    const at::Tensor mean = all[index++];
    const at::Tensor part = mean * settings.request.weights.at(name);
    loss = loss.defined() ? loss + part : part;
    losses.emplace_back("loss." + name, mean);
  }
  losses[0].second = loss;
  return losses;
}

at::Tensor forward_once(models::Model& model, const Batch& batch, const StepSettings& settings,
                        Key key) {
  const Pass pass(model, settings, key, 0);
  const LossTerms terms = pass.losses(batch, pass.context(0, batch));
  at::Tensor total;
  for (const auto& [name, weight] : settings.request.weights) {
    const at::Tensor part = terms.at(name).sum.to(at::kFloat) * weight;
    total = total.defined() ? total + part : part;
  }
  return total;
}

}  // namespace tandem::train
