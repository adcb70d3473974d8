#include "models/llava/weights.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "models/llava/model.h"
#include "models/pretrained_parts.h"
#include "tandem/nn/vision_input.h"

namespace tandem::models::llava {

// --- Initialisation ---------------------------------------------------------------------------

void initialize(const Llava& llava, Key init) {
  llava.tower->initialize("vision_tower.vision_model.", init);
  llava.connector->initialize("multi_modal_projector.", init);
  llava.language->initialize("language_model.", init);
}

// --- Names -----------------------------------------------------------------------------------

namespace {

constexpr std::string_view language = "language_model.", connector = "multi_modal_projector.",
                           tower = "vision_tower.";

bool eat(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

bool any_of(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// "weight" of one matrix, "2.weight" of a sequence with activations between.
std::string connector_name(std::string_view rest) {
  if (rest.starts_with("weight") || rest.starts_with("bias")) {
    return std::string(connector) + "linear_1." + std::string(rest);
  }
  const std::size_t dot = rest.find('.');
  if (dot != 1 || rest[0] < '0' || rest[0] > '9') return std::string(connector).append(rest);
  const int place = rest[0] - '0';
  return std::string(connector) + "linear_" + std::to_string(place / 2 + 1) +
         std::string(rest.substr(dot));
}

std::string our_name(const std::string& theirs) {
  std::string_view name = theirs;
  const bool inner = eat(name, "model.");
  if (eat(name, language)) {
    if (eat(name, "model.") || !name.starts_with("lm_head.")) {
      return std::string(language) + "model." + std::string(name);
    }
    return std::string(language).append(name);
  }
  if (eat(name, connector) || eat(name, "mm_projector.")) return connector_name(name);
  if (eat(name, tower)) {
    eat(name, tower);  // the original's class that holds the tower
    eat(name, "vision_model.");
    return std::string(tower) + "vision_model." + std::string(name);
  }
  if (name.starts_with("lm_head.")) return std::string(language).append(name);
  if (inner && any_of(name, {"embed_tokens.", "layers.", "norm."})) {
    return std::string(language) + "model." + std::string(name);
  }
  return theirs;  // unknown: whoever loads it says so
}

}  // namespace

Weights import_weights(Weights weights, const Settings& settings) {
  const Config& c = config_of(settings);
  Weights out;
  for (auto& [name, value] : without_module_prefix(std::move(weights))) {
    if (name.ends_with("position_ids") || name.ends_with("rotary_emb.inv_freq")) continue;
    out[our_name(name)] = std::move(value);
  }
  if (c.language.tied) out.erase(std::string(language) + "lm_head.weight");
  const auto positions =
      out.find(std::string(tower) + "vision_model.embeddings.position_embedding.weight");
  if (positions != out.end() && positions->second.dim() == 2) {
    positions->second =
        nn::interpolate_positions(positions->second, 1, c.vision.grid(), c.vision.grid());
  }
  // EVA's is a tensor of its own.
  resize_grid(out, std::string(tower) + "vision_model.embeddings.position_embedding",
              c.vision.grid());
  return with_reference(std::move(out), {"language_model."}, c.preference.reference == "copy");
}

void read_pretrained(Llava& llava, const Config& c) {
  if (llava.parameters().front().is_meta()) return;   // an outline: names and shapes alone
  constexpr std::string_view part = "vision_model.";  // of CLIP's files and of BLIP-2's
  Weights tower_weights, words;
  if (!c.vision_pretrained.empty()) {
    for (auto& [name, value] : weights_in(c.vision_pretrained)) {
      const std::size_t at = name.find(part);
      if (at == std::string::npos) continue;
      tower_weights[std::string(tower) + name.substr(at)] = value;
    }
    take_part(llava, import_weights(tower_weights, c), std::string(tower), c.vision_pretrained);
  }
  if (c.language_pretrained.empty()) return;
  for (auto& [name, value] : weights_in(c.language_pretrained)) {
    words[std::string(language) + name] = value;
  }
  take_part(llava, import_weights(words, c), std::string(language), c.language_pretrained);
}

void fit_weights(Settings& settings, const Weights& weights) {
  auto& c = dynamic_cast<Config&>(settings);
  const std::string begin = std::string(connector) + "linear_";
  std::int64_t layers = 0;
  bool alone = false;  // a matrix without a number
  for (const auto& [name, value] : weights) {
    const std::string ours = our_name(name);
    if (!ours.starts_with(begin)) continue;
    layers = std::max<std::int64_t>(layers, ours[begin.size()] - '0');
    alone = alone || name.ends_with("projector.weight");
  }
  if (layers == 0) return;
  c.connector.layers = layers;
  if (layers > 1) c.connector.kind = "mlp";
  if (layers == 1 && (alone || c.connector.activation == "linear")) c.connector.kind = "linear";
}

}  // namespace tandem::models::llava
