#include "models/qwen2_vl/weights.h"

#include <utility>

#include "models/pass.h"
#include "models/pretrained_parts.h"
#include "models/qwen2_vl/model.h"
#include "tandem/base/log.h"
#include "tandem/nn/init.h"

namespace tandem::models::qwen2_vl {

// Matrices and the table of words normal with 0.02 (initializer_range), biases 0, norms 1.
void initialize(Qwen2Vl& model, Key init) {
  const NamedTensors parameters = parameters_of(model);
  nn::initialize_normal(parameters, 0.02, init);
  for (const auto& [name, tensor] : parameters) {
    if (name.ends_with("ln_q.weight")) nn::fill_constant(tensor, 1);
  }
}

namespace {

// Of a tower alone or of a whole model, by our names.
Weights tower_in(const Config& config) {
  Weights named = import_weights(weights_in(config.vision_pretrained), config);
  std::erase_if(named, [](const auto& item) { return item.first.starts_with("reference."); });
  for (const auto& [name, value] : named) {
    if (name.starts_with("visual.")) return named;
  }
  Weights tower;
  for (auto& [name, value] : named) tower["visual." + name] = value;
  return tower;
}

}  // namespace

void read_pretrained(Qwen2Vl& model, const Config& config) {
  if (model.model->embed_tokens->weight.is_meta()) return;  // an outline: names and shapes alone
  if (!config.vision_pretrained.empty()) {
    const Weights tower = tower_in(config);
    const auto last = tower.find("visual.merger.mlp.2.weight");
    const bool fits =
        last != tower.end() && last->second.dim() == 2 && last->second.size(0) == config.text.width;
    if (!fits) {
      log_info("the merger begins anew: that of " + config.vision_pretrained +
               " does not end in the language model's width");
    }
    take_part(model, tower, "visual.", config.vision_pretrained, fits ? "-" : "visual.merger.");
  }
  if (config.language_pretrained.empty()) return;
  const Weights words = import_weights(weights_in(config.language_pretrained), config);
  for (const char* part : {"model.", "lm_head."}) {
    take_part(model, words, part, config.language_pretrained);
  }
}

Weights import_weights(Weights weights, const Settings& settings) {
  weights = without_module_prefix(std::move(weights));
  const std::vector<std::pair<std::string, std::string>> prefixes{
      {"model.visual.", "visual."},
      {"model.language_model.", "model."},
      {"language_model.model.", "model."},
      {"language_model.lm_head.", "lm_head."}};
  Weights out;
  for (auto& [name, value] : weights) {
    std::string to = name;
    for (const auto& [theirs, ours] : prefixes) {
      if (name.starts_with(theirs)) to = ours + name.substr(theirs.size());
    }
    out[to] = std::move(value);
  }
  erase_ending_in(out, "rotary_emb.inv_freq");
  erase_ending_in(out, "rotary_pos_emb.inv_freq");
  if (config_of(settings).text.tied) {
    merge_into(out, "lm_head.weight", "model.embed_tokens.weight");
  }
  return with_reference(std::move(out), {"model.", "lm_head."},
                        config_of(settings).preference.reference == "copy");
}

}  // namespace tandem::models::qwen2_vl
