#include "tandem/models/adapters.h"

#include <functional>

#include "tandem/base/error.h"
#include "tandem/nn/linear.h"

namespace tandem::models {
namespace {

void each_linear(const Model& model,
                 const std::function<void(const std::string&, nn::Linear&)>& visit) {
  torch::nn::Module* root = model.module();
  if (root == nullptr) return;
  for (const auto& item : root->named_modules(/*name_prefix=*/"", /*include_self=*/false)) {
    if (auto* linear = dynamic_cast<nn::Linear*>(item.value().get())) visit(item.key(), *linear);
  }
}

}  // namespace

std::vector<std::string> linear_layers(const Model& model) {
  std::vector<std::string> names;
  each_linear(model, [&](const std::string& name, nn::Linear&) { names.push_back(name); });
  return names;
}

void attach_adapters(Model& model, const std::vector<Adapter>& adapters, Key init) {
  std::map<std::string, nn::Linear*> layers;
  each_linear(model, [&](const std::string& name, nn::Linear& layer) { layers[name] = &layer; });
  for (const Adapter& adapter : adapters) {
    const auto it = layers.find(adapter.layer);
    if (it == layers.end()) {
      throw Error(ErrorKind::config, "[lora] expected a Linear layer of the model; got none",
                  adapter.layer);
    }
    it->second->attach(adapter.rank, adapter.scale, adapter.dropout, init.fold(adapter.layer));
  }
}

bool merge_adapters(Model& model) {
  bool any = false;
  each_linear(model, [&](const std::string&, nn::Linear& layer) {
    if (!layer.adapted()) return;
    layer.merge();
    any = true;
  });
  return any;
}

std::optional<std::string> adapted_layer(const std::string& parameter) {
  for (const std::string_view ending : {".lora_A.weight", ".lora_B.weight"}) {
    if (parameter.ends_with(ending)) return parameter.substr(0, parameter.size() - ending.size());
  }
  return std::nullopt;
}

}  // namespace tandem::models
