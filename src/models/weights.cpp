#include "tandem/models/weights.h"

#include <ATen/core/grad_mode.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tandem/base/error.h"

namespace tandem::models {
namespace {

std::string shape_of(const at::Tensor& tensor) {
  std::string text;
  for (const std::int64_t size : tensor.sizes()) {
    text += (text.empty() ? "" : ", ") + std::to_string(size);
  }
  return "[" + text + "]";
}

// "text_encoder_m" of "text_encoder_m.cls.predictions.bias".
std::string part_of(const std::string& name) { return name.substr(0, name.find('.')); }

}  // namespace

void assign_weights(Model& model, const std::map<std::string, at::Tensor>& weights) {
  std::vector<std::string> wrong;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  std::size_t used = 0;
  std::map<std::string, bool> known;
  const auto take = [&](const std::string& name, const at::Tensor& own, bool required) {
    known[name] = true;
    const auto found = weights.find(name);
    if (found == weights.end()) {
      if (required) wrong.push_back(name + " is missing");
      return;
    }
    ++used;
    if (found->second.sizes() != own.sizes()) {
      wrong.push_back(name + " is " + shape_of(found->second) + ", expected " + shape_of(own));
      return;
    }
    copies.emplace_back(own, found->second);
  };
  for (const auto& [name, own] : model.parameters()) take(name, own, true);
  // A momentum copy may be left out, not a piece of it.
  std::set<std::string> begun;
  for (const auto& [name, value] : weights) begun.insert(part_of(name));
  for (const auto& [name, own] : model.buffers()) {
    take(name, own, name.find('.') != std::string::npos && begun.contains(part_of(name)));
  }
  if (used < weights.size()) {
    for (const auto& [name, value] : weights) {
      if (!known.contains(name)) wrong.push_back(name + " is not of this model");
    }
  }
  if (!wrong.empty()) {
    std::string text;
    for (std::size_t i = 0; i < wrong.size() && i < 20; ++i) {
      text += (text.empty() ? "" : "; ") + wrong[i];
    }
    if (wrong.size() > 20) text += "; and " + std::to_string(wrong.size() - 20) + " more";
    throw Error(ErrorKind::data, "[weights] " + text);
  }
  const at::NoGradGuard no_grad;
  for (auto& [own, value] : copies) own.copy_(value);
}

}  // namespace tandem::models
