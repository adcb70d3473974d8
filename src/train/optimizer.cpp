#include "tandem/train/optimizer.h"

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <map>

#include "tandem/base/error.h"

namespace tandem::train {

Optimizer::Optimizer(const config::OptimizerConfig& config,
                     const std::vector<ResolvedParameter>& resolved, const NamedTensors& parameters)
    : config_(config) {
  TANDEM_CHECK(resolved.size() == parameters.size(), "[optimizer] rules of other parameters");
  std::map<std::pair<double, double>, std::size_t> group_of;
  for (std::size_t i = 0; i < resolved.size(); ++i) {
    if (!resolved[i].trained) continue;
    const at::Tensor& parameter = parameters[i].second;
    const auto key = std::make_pair(resolved[i].lr_scale, resolved[i].weight_decay);
    const auto [it, is_new] = group_of.try_emplace(key, groups_.size());
    if (is_new) groups_.push_back({.lr_scale = key.first, .weight_decay = key.second});
    Group& group = groups_[it->second];
    places_.emplace_back(it->second, group.parameters.size());
    names_.push_back(resolved[i].name);
    parameters_.push_back(parameter);
    group.parameters.push_back(parameter);
    group.exp_avg.push_back(at::zeros_like(parameter).detach());
    group.exp_avg_sq.push_back(at::zeros_like(parameter).detach());
    group.steps.push_back(at::zeros({}, parameter.options().dtype(at::kFloat)));
  }
  if (parameters_.empty()) {
    throw Error(ErrorKind::config, "[optimizer] expected parameters to train; got none", "",
                "the stage's `train` freezes everything");
  }
}

Optimizer::Norm Optimizer::step(double lr, const at::Tensor& loss) {
  const c10::NoGradGuard no_grad;
  for (at::Tensor& parameter : parameters_) {
    if (!parameter.grad().defined()) parameter.mutable_grad() = at::zeros_like(parameter);
  }
  std::vector<at::Tensor> grads;
  for (const at::Tensor& parameter : parameters_) grads.push_back(parameter.grad());
  Norm result;
  result.norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(grads, 2)), 2).to(at::kFloat);
  result.broken =
      at::isfinite(result.norm).logical_and(at::isfinite(loss)).logical_not().to(at::kFloat);
  // The kernel divides every gradient by this scale: at least 1, norm / clip where that is more.
  std::optional<at::Tensor> scale;
  if (config_.clip > 0) scale = result.norm.div(config_.clip).clamp_min(1.0);
  for (Group& group : groups_) {
    grads.clear();
    for (const at::Tensor& parameter : group.parameters) grads.push_back(parameter.grad());
    const at::Tensor counted = result.broken.logical_not().to(at::kFloat);
    for (at::Tensor& step : group.steps) step.add_(counted);
    at::_fused_adamw_(group.parameters, grads, group.exp_avg, group.exp_avg_sq, {}, group.steps,
                      lr * group.lr_scale, config_.betas[0], config_.betas[1], group.weight_decay,
                      config_.eps, /*amsgrad=*/false, /*maximize=*/false, scale, result.broken);
  }
  return result;
}

void Optimizer::zero_grad() {
  for (at::Tensor& parameter : parameters_) {
    if (parameter.grad().defined()) parameter.mutable_grad().reset();
  }
}

NamedTensors Optimizer::state() const {
  NamedTensors state;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const auto [group, index] = places_[i];
    state.emplace_back("exp_avg." + names_[i], groups_[group].exp_avg[index].cpu());
    state.emplace_back("exp_avg_sq." + names_[i], groups_[group].exp_avg_sq[index].cpu());
  }
  state.emplace_back("step", groups_.front().steps.front().cpu());
  return state;
}

void Optimizer::load(const NamedTensors& state) {
  const c10::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> given(state.begin(), state.end());
  const auto take = [&](const std::string& name, at::Tensor& into) {
    const auto it = given.find(name);
    if (it == given.end()) {
      throw Error(ErrorKind::data, "[optimizer] expected a tensor; got none", name);
    }
    if (it->second.sizes() != into.sizes()) {
      throw Error(ErrorKind::data, "[optimizer] expected the parameter's shape; got another", name);
    }
    into.copy_(it->second);
    given.erase(it);
  };
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const auto [group, index] = places_[i];
    take("exp_avg." + names_[i], groups_[group].exp_avg[index]);
    take("exp_avg_sq." + names_[i], groups_[group].exp_avg_sq[index]);
  }
  at::Tensor count = at::zeros({}, at::kFloat);
  take("step", count);
  for (Group& group : groups_) {
    for (at::Tensor& step : group.steps) step.copy_(count);
  }
  if (!given.empty()) {
    throw Error(ErrorKind::data, "[optimizer] expected no other tensor; got one more",
                given.begin()->first);
  }
}

std::int64_t Optimizer::state_bytes(const std::vector<ResolvedParameter>& resolved) {
  std::int64_t bytes = 0;
  for (const ResolvedParameter& one : resolved) bytes += one.trained ? 8 * one.elements : 0;
  return bytes;
}

}  // namespace tandem::train
