#include "models/qwen2_vl/weights.h"

#include <utility>

#include "models/pass.h"
#include "models/qwen2_vl/model.h"
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
