#include "models/weight_names.h"

#include <ATen/ops/cat.h>

#include <utility>
#include <vector>

#include "tandem/nn/vision_input.h"

namespace tandem::models {

Weights without_module_prefix(Weights weights) {
  const std::string prefix = "module.";
  for (const auto& [name, value] : weights) {
    if (!name.starts_with(prefix)) return weights;
  }
  Weights out;
  for (auto& [name, value] : weights) out[name.substr(prefix.size())] = std::move(value);
  return out;
}

void erase_ending_in(Weights& weights, const std::string& suffix) {
  std::erase_if(weights, [&](const auto& item) { return item.first.ends_with(suffix); });
}

void merge_into(Weights& weights, const std::string& name, const std::string& first) {
  auto node = weights.extract(name);
  if (node.empty()) return;
  node.key() = first;
  weights.insert(std::move(node));
}

void merge_tied(Weights& weights, const std::string& name, const std::string& first) {
  const auto own = weights.find(name), other = weights.find(first);
  const bool both = own != weights.end() && other != weights.end();
  if (both && (own->second.scalar_type() != other->second.scalar_type() ||
               !own->second.equal(other->second))) {
    return;
  }
  merge_into(weights, name, first);
}

void add_copies(Weights& weights, std::initializer_list<const char*> parts) {
  for (const std::string part : parts) {
    Weights added;
    bool there = false;
    for (const auto& [name, value] : weights) {
      there = there || name.starts_with(part + "_m.");
      if (name.starts_with(part + ".")) added[part + "_m" + name.substr(part.size())] = value;
    }
    if (!there) weights.merge(added);
  }
}

void cut_rows(Weights& weights, const std::string& name, std::int64_t rows) {
  const auto found = weights.find(name);
  if (found == weights.end() || found->second.dim() != 2 || found->second.size(0) <= rows) return;
  found->second = found->second.narrow(0, 0, rows).clone();
}

void cut_rows_ending_in(Weights& weights, const std::string& suffix, std::int64_t rows) {
  std::vector<std::string> names;
  for (const auto& [name, value] : weights) {
    if (name.ends_with(suffix)) names.push_back(name);
  }
  for (const std::string& name : names) cut_rows(weights, name, rows);
}

void set_rows(Weights& weights, const std::string& name, std::int64_t rows, std::int64_t like) {
  cut_rows(weights, name, rows);
  const auto found = weights.find(name);
  if (found == weights.end() || found->second.dim() != 2) return;
  at::Tensor& table = found->second;
  if (table.size(0) >= rows || table.size(0) <= like) return;
  table = at::cat({table, table.narrow(0, like, 1).expand({rows - table.size(0), -1})});
}

void resize_grid(Weights& weights, const std::string& name, std::int64_t grid) {
  const auto found = weights.find(name);
  if (found == weights.end() || found->second.dim() != 3) return;
  if (found->second.size(1) == 1 + grid * grid) return;
  found->second = nn::interpolate_positions(found->second.squeeze(0), 1, grid, grid).unsqueeze(0);
}

}  // namespace tandem::models
