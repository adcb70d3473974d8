#include "models/blip/weights.h"

#include <cmath>
#include <utility>
#include <vector>

#include "models/blip/model.h"
#include "tandem/nn/init.h"
#include "tandem/nn/vision_input.h"

namespace tandem::models::blip {
namespace {

bool original_names(Kind kind) {
  return kind == Kind::pretrain || kind == Kind::reasoning || kind == Kind::matching;
}

}  // namespace

const nn::VitNames& names_of_vision(Kind kind) {
  return original_names(kind) ? nn::timm_vit_names() : nn::hugging_face_vit_names();
}

// --- Initialisation: salesforce/BLIP:models/{vit,med}.py ---------------------------------------

// Matrices, tables and class tokens are normal with 0.02, biases 0, norms 1. The released code
// leaves its projections and the patches at PyTorch's defaults; it starts the encoders from DeiT
// and BERT.
void initialize(Blip& blip, const Config& c, Key init) {
  NamedTensors parameters;
  for (const auto& item : blip.named_parameters())
    parameters.emplace_back(item.key(), item.value());
  nn::initialize_normal(parameters, 0.02, init);
  const auto plain = [&](const std::shared_ptr<nn::Linear>& linear, const std::string& name) {
    if (!linear) return;
    const double bound = 1 / std::sqrt(static_cast<double>(linear->weight.size(1)));
    nn::fill_uniform(linear->weight, bound, init, name + ".weight");
    if (linear->bias.defined()) nn::fill_uniform(linear->bias, bound, init, name + ".bias");
  };
  plain(blip.vision_proj, "vision_proj");
  plain(blip.text_proj, "text_proj");
  plain(blip.itm_head, "itm_head");
  if (blip.temperature.defined()) nn::fill_constant(blip.temperature, c.temperature);
  if (blip.logit_scale.defined()) nn::fill_constant(blip.logit_scale, c.logit_scale_init);
}

namespace {

// --- Names -----------------------------------------------------------------------------------

// `rest` of a name behind the prefix of the picture's encoder, from one set of names to another.
std::string vision_name(const std::string& rest, const nn::VitNames& from, const nn::VitNames& to) {
  const std::vector<std::pair<std::string, std::string>> outside{{from.class_token, to.class_token},
                                                                 {from.positions, to.positions},
                                                                 {from.patch, to.patch},
                                                                 {from.norm, to.norm}};
  if (rest.starts_with(from.blocks + ".")) {
    const std::size_t dot = rest.find('.', from.blocks.size() + 1);
    if (dot == std::string::npos) return rest;
    const std::string number = rest.substr(from.blocks.size(), dot + 1 - from.blocks.size());
    const std::string part = rest.substr(dot + 1);
    const std::vector<std::pair<std::string, std::string>> inside{
        {from.norm1, to.norm1}, {from.qkv, to.qkv}, {from.out, to.out},
        {from.norm2, to.norm2}, {from.fc1, to.fc1}, {from.fc2, to.fc2}};
    for (const auto& [theirs, ours] : inside) {
      if (part.starts_with(theirs + ".")) {
        return to.blocks + number + ours + part.substr(theirs.size());
      }
    }
    return rest;
  }
  for (const auto& [theirs, ours] : outside) {
    if (rest == theirs || rest.starts_with(theirs + ".")) return ours + rest.substr(theirs.size());
  }
  return rest;
}

Weights rename_vision(Weights weights, Kind kind) {
  const bool original = original_names(kind);
  const std::string from = original ? "vision_model." : "visual_encoder.";
  const std::string to = original ? "visual_encoder." : "vision_model.";
  const nn::VitNames& theirs = names_of_vision(original ? Kind::captioning : Kind::pretrain);
  Weights out;
  for (auto& [name, value] : weights) {
    const bool rename = name.starts_with(from);
    out[rename ? to + vision_name(name.substr(from.size()), theirs, names_of_vision(kind)) : name] =
        std::move(value);
  }
  return out;
}

const std::string encoder_prefix = "text_encoder.", decoder_prefix = "text_decoder.bert.";

// What the encoder and the decoder of pre-training have in common: all but self-attention, whose
// path alone has a part "attention".
bool is_shared(const std::string& decoder_name) {
  return decoder_name.starts_with(decoder_prefix) &&
         decoder_name.find(".attention.") == std::string::npos;
}

void drop_tied(Weights& weights, bool shared) {
  const std::string head = "text_decoder.cls.predictions.";
  merge_into(weights, head + "decoder.bias", head + "bias");
  merge_into(weights, head + "decoder.weight",
             decoder_prefix + "embeddings.word_embeddings.weight");
  if (!shared) return;
  std::vector<std::string> names;
  for (const auto& [name, value] : weights) {
    if (is_shared(name)) names.push_back(name);
  }
  for (const std::string& name : names) {
    merge_into(weights, name, encoder_prefix + name.substr(decoder_prefix.size()));
  }
}

// What a class takes from a pre-trained model.
bool is_wanted(const std::string& name, Kind kind) {
  if (kind == Kind::matching) {  // all that has no decoder, the copies and the queues included
    return !name.starts_with("text_decoder.") && name != "queue_ptr";
  }
  if (name.starts_with("visual_encoder.")) return true;
  if (name.starts_with(encoder_prefix)) return kind != Kind::captioning;
  if (name.starts_with("text_decoder.")) {
    return kind == Kind::captioning || kind == Kind::answering;
  }
  return kind == Kind::retrieval &&
         (name.starts_with("vision_proj.") || name.starts_with("text_proj.") ||
          name.starts_with("itm_head."));
}

// Its decoder gets its own copy of what was shared.
Weights from_pretraining(const Weights& weights, Kind kind) {
  Weights out;
  for (const auto& [name, value] : weights) {
    if (is_wanted(name, kind)) out[name] = value;
    if (!name.starts_with(encoder_prefix)) continue;
    const std::string twin = decoder_prefix + name.substr(encoder_prefix.size());
    if (is_shared(twin) && is_wanted(twin, kind) && !weights.contains(twin)) out[twin] = value;
  }
  return out;
}

// The cross-attention of one picture begins that of both.
Weights doubled(const Weights& weights) {
  Weights out;
  for (const auto& [name, value] : weights) {
    bool twice = false;
    for (const std::string part : {".crossattention.self.", ".crossattention.output.dense."}) {
      const std::size_t at = name.find(part);
      if (at == std::string::npos) continue;
      const std::size_t end = at + part.size() - 1;  // of the part's last word
      for (const char* number : {"0", "1"}) {
        out[name.substr(0, end) + number + name.substr(end)] = value;
      }
      twice = true;
    }
    if (!twice) out[name] = value;
  }
  return out;
}

}  // namespace

Weights import_weights(Weights weights, const Settings& settings) {
  const Config& config = config_of(settings);
  const Kind kind = config.the_kind();
  erase_ending_in(weights, "position_ids");
  const bool pretrained = weights.contains("temp") && weights.contains("visual_encoder.cls_token");
  if (pretrained && kind != Kind::pretrain) weights = from_pretraining(weights, kind);
  weights = rename_vision(std::move(weights), kind);
  if (kind == Kind::reasoning) weights = doubled(weights);
  if (config.tied) drop_tied(weights, kind == Kind::pretrain);
  if (config.copies()) {
    add_copies(weights, {"visual_encoder", "vision_proj", "text_encoder", "text_proj"});
  }
  cut_rows_ending_in(weights, ".embeddings.position_embeddings.weight", config.text.positions);
  const std::string tower = original_names(kind) ? "visual_encoder" : "vision_model";
  for (const char* copy : {"", "_m"}) {
    resize_grid(weights, tower + copy + "." + names_of_vision(kind).positions,
                config.vision.shape().grid());
  }
  return weights;
}

}  // namespace tandem::models::blip
