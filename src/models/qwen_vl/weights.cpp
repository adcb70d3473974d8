#include "models/qwen_vl/weights.h"

#include <cmath>
#include <string>

#include "models/qwen_vl/model.h"
#include "tandem/nn/init.h"

namespace tandem::models::qwen_vl {
namespace {

bool is_norm(const std::string& name) { return name.find("ln_") != std::string::npos; }

}  // namespace

void initialize(QwenVl& model, const Config& c, Key init) {
  const double std = c.language.init_std;
  const auto width = static_cast<double>(c.language.width);
  // Layers that write into the stream of a block; of the tower's blocks too, by the same depth.
  const double narrow = std / std::sqrt(2 * static_cast<double>(c.language.layers));
  for (auto& item : model.named_parameters()) {
    const std::string& name = item.key();
    const bool bias = name.ends_with("bias");
    if (is_norm(name) || bias) {
      nn::fill_constant(item.value(), bias ? 0 : 1);
    } else {
      nn::fill_normal(item.value(), name.ends_with(".c_proj.weight") ? narrow : std, init, name);
    }
  }
  VisionTower& tower = *model.visual;
  const std::string prefix = "transformer.visual.";
  const auto patch = static_cast<double>(3 * c.vision.patch_size * c.vision.patch_size);
  nn::fill_uniform(tower.conv1->weight, 1 / std::sqrt(patch), init, prefix + "conv1.weight");
  nn::fill_normal(tower.positional_embedding, 1 / std::sqrt(static_cast<double>(c.vision.width)),
                  init, prefix + "positional_embedding");
  nn::fill_normal(tower.proj, 1 / std::sqrt(width), init, prefix + "proj");
  nn::Resampler& resampler = *tower.attn_pool;
  nn::fill_normal(resampler.query, 0.02, init, prefix + "attn_pool.query");
  nn::fill_uniform(resampler.in_proj_weight, std::sqrt(6 / (4 * width)), init,
                   prefix + "attn_pool.attn.in_proj_weight");
}

void fit_weights(Settings& settings, const Weights& weights) {
  auto& config = dynamic_cast<Config&>(settings);
  const auto head = weights.find("lm_head.weight"), table = weights.find("transformer.wte.weight");
  if (head == weights.end() || table == weights.end()) return;
  if (!head->second.equal(table->second)) config.language.tied = false;
}

Weights import_weights(Weights weights, const Settings& settings) {
  weights = without_module_prefix(std::move(weights));
  for (const char* suffix : {".rotary_emb.inv_freq", ".attn.masked_bias", ".attn.bias",
                             "registered_causal_mask", ".attn.logn_tensor"}) {
    erase_ending_in(weights, suffix);
  }
  if (config_of(settings).language.tied)
    merge_tied(weights, "lm_head.weight", "transformer.wte.weight");
  return weights;
}

}  // namespace tandem::models::qwen_vl
