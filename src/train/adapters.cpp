#include "train/adapters.h"

#include "tandem/base/log.h"
#include "tandem/checkpoint/adapter.h"

namespace tandem::train {

void attach_stage_adapters(Session& session) {
  const auto stage = static_cast<std::size_t>(session.cursor.stage);
  models::Model& model = *session.parts.model;
  session.adapters = adapters_of(session.config.stages.at(stage), models::linear_layers(model));
  models::attach_adapters(
      model, session.adapters,
      Key(static_cast<std::uint64_t>(session.config.seed)).fold("lora").fold(stage));
}

void begin_adapters(Session& session) {
  if (models::merge_adapters(*session.parts.model)) {
    log_info("the adapters of the stage before are merged into the weights");
  }
  attach_stage_adapters(session);
}

NamedTensors adapter_tensors(const NamedTensors& parameters) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : parameters) {
    if (!models::adapted_layer(name)) continue;
    tensors.emplace_back(checkpoint::to_peft_name(name), tensor.detach());
  }
  return tensors;
}

std::string adapter_config(const Session& session) {
  std::vector<checkpoint::AdapterLayer> layers;
  for (const models::Adapter& one : session.adapters) {
    layers.push_back({one.layer, one.rank, one.scale, one.dropout});
  }
  return checkpoint::adapter_config_json(layers, session.config.model.pretrained);
}

}  // namespace tandem::train
