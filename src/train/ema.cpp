#include "tandem/train/ema.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sub.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>

#include "tandem/base/error.h"

namespace tandem::train {

Ema::Ema(const config::EmaConfig& config, const std::vector<ResolvedParameter>& resolved,
         const NamedTensors& parameters)
    : config_(config) {
  TANDEM_CHECK(resolved.size() == parameters.size(), "[ema] rules of other parameters");
  for (std::size_t i = 0; i < resolved.size(); ++i) {
    if (!resolved[i].trained) continue;
    weights_.push_back(parameters[i].second);
    averages_.emplace_back(resolved[i].name, parameters[i].second.detach().clone());
  }
}

std::vector<at::Tensor> Ema::tensors() const {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : averages_) tensors.push_back(tensor);
  return tensors;
}

void Ema::update(std::int64_t update, const at::Tensor& broken) {
  const c10::NoGradGuard no_grad;
  const auto n = static_cast<double>(update);
  const double decay = config_.warmup ? std::min(config_.decay, (1 + n) / (10 + n)) : config_.decay;
  // Zero for a broken step: what is added is then zero too.
  const at::Tensor share = broken.logical_not().to(at::kFloat).mul_(1 - decay);
  const std::vector<at::Tensor> averages = tensors();
  const std::vector<at::Tensor> change = at::_foreach_sub(weights_, averages);
  at::_foreach_mul_(change, share);
  at::_foreach_add_(averages, change);
}

void Ema::exchange() {
  const c10::NoGradGuard no_grad;
  const std::vector<at::Tensor> averages = tensors();
  std::vector<at::Tensor> kept;
  for (const at::Tensor& weight : weights_) kept.push_back(weight.detach().clone());
  at::_foreach_copy_(weights_, averages);
  at::_foreach_copy_(averages, kept);
}

void Ema::load(const NamedTensors& state) {
  const c10::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> given(state.begin(), state.end());
  for (auto& [name, average] : averages_) {
    const auto it = given.find(name);
    if (it == given.end()) throw Error(ErrorKind::data, "[ema] expected a tensor; got none", name);
    if (it->second.sizes() != average.sizes()) {
      throw Error(ErrorKind::data, "[ema] expected the parameter's shape; got another", name);
    }
    average.copy_(it->second);
    given.erase(it);
  }
  if (!given.empty()) {
    throw Error(ErrorKind::data, "[ema] expected no other tensor; got one more",
                given.begin()->first);
  }
}

}  // namespace tandem::train
