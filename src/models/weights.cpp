#include "tandem/models/weights.h"

#include <ATen/core/grad_mode.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/tensor/shape.h"

namespace tandem::models {
namespace {

// "text_encoder_m" of "text_encoder_m.cls.predictions.bias".
std::string part_of(const std::string& name) { return name.substr(0, name.find('.')); }

}  // namespace

namespace {

using Copies = std::vector<std::pair<at::Tensor, at::Tensor>>;

void copy_all(Copies& copies) {
  const at::NoGradGuard no_grad;
  for (auto& [own, value] : copies) own.copy_(value);
}

[[noreturn]] void refuse(const std::vector<std::string>& wrong) {
  std::string text;
  for (std::size_t i = 0; i < wrong.size() && i < 20; ++i) {
    text += (text.empty() ? "" : "; ") + wrong[i];
  }
  if (wrong.size() > 20) text += "; and " + std::to_string(wrong.size() - 20) + " more";
  throw Error(ErrorKind::data, "[weights] " + text);
}

// "fc1.bias" of "fc1.weight" and the other way round; empty: of a tensor that stands alone.
std::string twin_of(const std::string& name) {
  const std::string weight = ".weight", bias = ".bias";
  if (name.ends_with(weight)) return name.substr(0, name.size() - weight.size()) + bias;
  if (name.ends_with(bias)) return name.substr(0, name.size() - bias.size()) + weight;
  return {};
}

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
      wrong.push_back(name + " is " + shape_text(found->second) + ", expected " + shape_text(own));
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
  if (!wrong.empty()) refuse(wrong);
  copy_all(copies);
}

Taken take_weights(Model& model, const std::map<std::string, at::Tensor>& weights) {
  Taken taken;
  std::vector<std::string> wrong;
  Copies copies;
  std::set<std::string> known;
  const auto take = [&](const std::string& name, const at::Tensor& own, bool may_differ) {
    known.insert(name);
    const auto found = weights.find(name);
    const bool fits = found != weights.end() && found->second.sizes() == own.sizes();
    if (fits) {
      copies.emplace_back(own, found->second);
    } else if (found != weights.end() && !may_differ) {
      wrong.push_back(name + " is " + shape_text(found->second) + ", expected " + shape_text(own));
    } else if (found == weights.end() && weights.contains(twin_of(name))) {
      wrong.push_back(name + " is missing beside " + twin_of(name));
    } else {
      taken.fresh.push_back(name);
    }
  };
  for (const auto& [name, own] : model.parameters()) take(name, own, false);
  const bool any = !copies.empty();
  for (const auto& [name, own] : model.buffers()) {
    take(name, own, /*may_differ=*/name.find('.') == std::string::npos);
  }
  for (const auto& [name, value] : weights) {
    if (!known.contains(name)) taken.left_out.push_back(name);
  }
  if (!any && wrong.empty()) wrong.emplace_back("nothing in them is of this model");
  if (!wrong.empty()) refuse(wrong);
  copy_all(copies);
  return taken;
}

std::string parts_named(const std::vector<std::string>& names,
                        const std::vector<std::string>& others) {
  std::set<std::string> shared;
  for (const std::string& name : others) shared.insert(part_of(name));
  std::string text;
  std::set<std::string> told;
  for (const std::string& name : names) {
    std::string part = part_of(name);
    if (part != name && shared.contains(part)) {
      part += "." + part_of(name.substr(part.size() + 1));
    }
    if (told.insert(part).second) {
      text += (text.empty() ? "" : ", ") + part + (part == name ? "" : ".*");
    }
  }
  return text;
}

}  // namespace tandem::models
