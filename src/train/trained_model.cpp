#include "tandem/train/trained_model.h"

#include <map>

#include "tandem/base/error.h"
#include "tandem/checkpoint/adapter.h"
#include "tandem/checkpoint/checkpoint.h"
#include "tandem/models/adapters.h"
#include "tandem/models/weights.h"
#include "tandem/train/rules.h"
#include "train/session.h"

namespace tandem::train {
namespace {

using NamedWeights = std::map<std::string, at::Tensor>;

const NamedTensors* tensors_of_file(const checkpoint::State& state, const std::string& file) {
  for (const auto& [name, tensors] : state.more) {
    if (name == file) return &tensors;
  }
  return nullptr;
}

// By the model's names, adapters and frozen copies apart.
NamedWeights all_of(const checkpoint::State& state, bool average,
                    const std::filesystem::path& where) {
  NamedWeights weights(state.model.begin(), state.model.end());
  if (const auto* adapters = tensors_of_file(state, checkpoint::adapter_tensors_file)) {
    for (const auto& [name, tensor] : *adapters) weights[checkpoint::from_peft_name(name)] = tensor;
  }
  if (!average) return weights;
  const auto* averages = tensors_of_file(state, "ema.safetensors");
  if (averages == nullptr) {
    throw Error(ErrorKind::config, "[checkpoint] expected averages of the weights; got none",
                where.string(), "they are made where the config says `ema`");
  }
  for (const auto& [name, tensor] : *averages) {
    const auto found = weights.find(name);
    if (found != weights.end()) found->second = tensor;
  }
  return weights;
}

}  // namespace

std::optional<Parts> trained_model(const config::RunConfig& run,
                                   const std::filesystem::path& checkpoint,
                                   const std::shared_ptr<const text::Tokenizer>& tokenizer,
                                   bool average) {
  std::error_code error;
  if (!std::filesystem::exists(checkpoint / "state.json", error)) return {};
  const checkpoint::State state = checkpoint::Checkpointer::load(checkpoint);
  const auto stage = static_cast<std::size_t>(cursor_of(state.json).stage);
  if (stage >= run.stages.size() || run.stages[stage].kind == "job") return {};
  const Parts outline = make_parts(run, stage, tokenizer, {}, /*outline=*/true);
  if (!outline.model->abilities().prefer) return {};
  const bool adapted = tensors_of_file(state, checkpoint::adapter_tensors_file) != nullptr;
  if (!adapted && outline.model->buffers().empty()) return {};
  Parts parts = make_parts(run, stage, tokenizer, {});
  if (adapted) {
    const std::vector<models::Adapter> adapters =
        adapters_of(run.stages[stage], models::linear_layers(*parts.model));
    models::attach_adapters(*parts.model, adapters, Key(0));
    // Nothing is trained any more: the model without its adapters is what it is compared with.
    for (auto& [name, tensor] : parts.model->parameters()) {
      tensor.set_requires_grad(models::adapted_layer(name).has_value());
    }
  }
  models::assign_weights(*parts.model, all_of(state, average, checkpoint));
  parts.model->train(false);
  return parts;
}

}  // namespace tandem::train
