#include "models/albef/weights.h"

#include <cmath>
#include <utility>
#include <vector>

#include "models/albef/model.h"
#include "tandem/nn/init.h"
#include "tandem/nn/vision_input.h"

namespace tandem::models::albef {

// --- Initialisation: models/{vit,xbert,model_pretrain}.py --------------------------------------

// Matrices, tables and the class token are normal with 0.02, biases 0, norms 1; the patches, the
// projections and the matching head keep PyTorch's defaults. (The released training starts from
// DeiT and BERT.)
void initialize(Albef& model, const Config& c, Key init) {
  NamedTensors parameters;
  for (const auto& item : model.named_parameters()) {
    parameters.emplace_back(item.key(), item.value());
  }
  nn::initialize_normal(parameters, 0.02, init);
  const auto plain = [&](const at::Tensor& weight, const at::Tensor& bias, const std::string& name,
                         std::int64_t inputs) {
    const double bound = 1 / std::sqrt(static_cast<double>(inputs));
    nn::fill_uniform(weight, bound, init, name + ".weight");
    nn::fill_uniform(bias, bound, init, name + ".bias");
  };
  const auto linear = [&](const nn::Linear& layer, const std::string& name) {
    plain(layer.weight, layer.bias, name, layer.weight.size(1));
  };
  plain(model.vision->patch->weight, model.vision->patch->bias, "visual_encoder.patch_embed.proj",
        3 * c.vision.patch_size * c.vision.patch_size);
  linear(*model.vision_proj, "vision_proj");
  linear(*model.text_proj, "text_proj");
  linear(*model.itm_head, "itm_head");
  nn::fill_constant(model.temperature, c.temperature);
}

namespace {

// --- Names -----------------------------------------------------------------------------------

void drop_tied(Weights& weights) {
  for (const std::string text :
       {"text_encoder", "text_encoder_m", "text_decoder", "text_decoder_m"}) {
    const std::string head = text + ".cls.predictions.";
    merge_into(weights, head + "decoder.weight", text + ".bert.embeddings.word_embeddings.weight");
    merge_into(weights, head + "decoder.bias", head + "bias");
  }
}

// Two layers behind each other have one set of keys and values.
void drop_shared_pictures(Weights& weights, const Config& config) {
  const nn::BertShape shape = config.text_shape();
  for (const std::string text : {"text_encoder", "text_encoder_m"}) {
    for (std::int64_t i = config.text.fusion_layer; i + 1 < shape.layers; i += 2) {
      const auto self = [&](std::int64_t layer) {
        return text + ".encoder.layer." + std::to_string(layer) + ".crossattention.self.";
      };
      for (const char* part : {"key.weight", "key.bias", "value.weight", "value.bias"}) {
        merge_into(weights, self(i + 1) + part, self(i) + part);
      }
    }
  }
}

// A model of one picture has each layer that fuses once: both layers of a pair begin as it.
void double_fusion(Weights& weights, const Config& config) {
  const std::int64_t first = config.text.fusion_layer, layers = config.text.layers;
  for (const std::string text : {"text_encoder", "text_encoder_m"}) {
    const std::string prefix = text + ".encoder.layer.";
    const auto layer = [&](std::int64_t i) { return prefix + std::to_string(i) + "."; };
    const auto any = [&](const std::string& start) {
      const auto found = weights.lower_bound(start);
      return found != weights.end() && found->first.starts_with(start);
    };
    if (!any(layer(layers - 1)) || any(layer(layers))) continue;  // absent, or of two already
    for (std::int64_t i = layers - 1; i >= first; --i) {
      const std::string from = layer(i);
      Weights moved;
      for (auto it = weights.lower_bound(from);
           it != weights.end() && it->first.starts_with(from);) {
        const std::string leaf = it->first.substr(from.size());
        moved[layer(2 * i - first) + leaf] = it->second;
        moved[layer(2 * i - first + 1) + leaf] = it->second;
        it = weights.erase(it);
      }
      weights.merge(moved);
    }
  }
}

// Answers: the decoder begins as the layers that fuse, the table of words and the head of tokens.
Weights with_decoder(Weights weights, const Config& config) {
  const auto any = [&](const std::string& start) {
    const auto found = weights.lower_bound(start);
    return found != weights.end() && found->first.starts_with(start);
  };
  if (any("text_decoder.") || !any("text_encoder.cls.")) return weights;
  const std::int64_t first = config.text.layers - config.decoder_layers;
  Weights more;
  for (const std::string copy : {"", "_m"}) {
    const std::string from = "text_encoder" + copy + ".", to = "text_decoder" + copy + ".";
    const std::string layers = from + "bert.encoder.layer.";
    for (const auto& [name, value] : weights) {
      if (!name.starts_with(from)) continue;
      std::string rest = name.substr(from.size());
      if (name.starts_with(layers)) {
        const std::string numbered = name.substr(layers.size());
        const std::int64_t layer = std::stoll(numbered) - first;
        if (layer < 0) continue;
        rest = "bert.encoder.layer." + std::to_string(layer) + numbered.substr(numbered.find('.'));
      }
      more[to + rest] = value;
    }
  }
  weights.merge(more);
  return weights;
}

// What follows the text encoder's name in pre-training only: the level "bert", and the head.
Weights without_pretraining(const Weights& weights) {
  Weights out;
  for (const auto& [name, value] : weights) {
    std::string to = name;
    bool keep = true;
    for (const std::string text : {"text_encoder.", "text_encoder_m."}) {
      if (name.starts_with(text + "bert.")) to = text + name.substr(text.size() + 5);
      keep = keep && !name.starts_with(text + "cls.");
    }
    if (keep) out[to] = value;
  }
  return out;
}

}  // namespace

Weights import_weights(Weights weights, const Settings& settings) {
  const Config& config = config_of(settings);
  weights = without_module_prefix(std::move(weights));
  erase_ending_in(weights, "position_ids");
  const Kind kind = config.the_kind();
  if (kind == Kind::answering) weights = with_decoder(std::move(weights), config);
  if (kind != Kind::pretrain) weights = without_pretraining(weights);
  drop_tied(weights);
  if (config.sees_two()) {
    double_fusion(weights, config);
    drop_shared_pictures(weights, config);
  }
  if (config.copies()) {
    add_copies(weights, {"visual_encoder", "vision_proj", "text_encoder", "text_proj",
                         "text_decoder", "cls_head"});
  }
  cut_rows_ending_in(weights, ".embeddings.position_embeddings.weight", config.text.positions);
  for (const char* table : {"visual_encoder.pos_embed", "visual_encoder_m.pos_embed"}) {
    resize_grid(weights, table, config.vision.shape().grid());
  }
  return weights;
}

}  // namespace tandem::models::albef
