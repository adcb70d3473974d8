#include "models/clip/weights.h"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "models/clip/model.h"
#include "tandem/base/error.h"
#include "tandem/nn/init.h"

namespace tandem::models::clip {
// --- Initialisation: openai/CLIP:clip/model.py, initialize_parameters ------------------------

void initialize(Clip& clip, const Config& c, Key init) {
  initialize_norms(clip);
  initialize_vision(*clip.vision_model, c.vision, "vision_model.", init);
  auto& t = *clip.text_model->embeddings;
  const double vision = 1 / std::sqrt(static_cast<double>(c.vision.width));
  const std::string te = "text_model.embeddings.";
  nn::fill_normal(clip.visual_projection->weight, vision, init, "visual_projection.weight");
  nn::fill_normal(t.token_embedding->weight, 0.02, init, te + "token_embedding.weight");
  nn::fill_normal(t.position_embedding->weight, 0.01, init, te + "position_embedding.weight");
  nn::fill_normal(clip.text_projection->weight, 1 / std::sqrt(static_cast<double>(c.text.width)),
                  init, "text_projection.weight");
  initialize_blocks(*clip.text_model->encoder, c.text, "text_model.", true, init);
  nn::fill_constant(clip.logit_scale, c.logit_scale_init);
}

namespace {

// --- Names -----------------------------------------------------------------------------------

using Pairs = std::vector<std::pair<std::string, std::string>>;

bool is_no_weight(const std::string& name) {
  return name.ends_with("position_ids") || name == "input_resolution" || name == "context_length" ||
         name == "vocab_size";
}

// OpenAI's names of what stands outside the blocks.
const Pairs& outside() {
  static const Pairs pairs{
      {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
      {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"},
      {"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"},
      {"visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"},
      {"visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"},
      {"visual.ln_post.weight", "vision_model.post_layernorm.weight"},
      {"visual.ln_post.bias", "vision_model.post_layernorm.bias"},
      {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
      {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
      {"ln_final.weight", "text_model.final_layer_norm.weight"},
      {"ln_final.bias", "text_model.final_layer_norm.bias"}};
  return pairs;
}

// ... and of the parts of a block.
const Pairs& inside() {
  static const Pairs pairs{{"attn.out_proj.", "self_attn.out_proj."},
                           {"ln_1.", "layer_norm1."},
                           {"ln_2.", "layer_norm2."},
                           {"mlp.c_fc.", "mlp.fc1."},
                           {"mlp.c_proj.", "mlp.fc2."}};
  return pairs;
}

// A tensor of "(visual.)transformer.resblocks.N.": `rest` is what follows the number.
void import_block_tensor(const std::string& layer, const std::string& rest, const at::Tensor& value,
                         Weights& out) {
  for (const std::string suffix : {"weight", "bias"}) {
    if (rest != "attn.in_proj_" + suffix) continue;
    if (value.dim() < 1 || value.size(0) % 3 != 0) {
      throw Error(ErrorKind::data, "[weights] expected q, k and v in one tensor", layer + rest);
    }
    const std::array<const char*, 3> names{"q_proj.", "k_proj.", "v_proj."};
    const std::int64_t rows = value.size(0) / 3;
    for (std::size_t i = 0; i < 3; ++i) {
      out[layer + "self_attn." + names[i] + suffix] =
          value.narrow(0, static_cast<std::int64_t>(i) * rows, rows).clone();
    }
    return;
  }
  for (const auto& [theirs, ours] : inside()) {
    if (rest.starts_with(theirs)) {
      out[layer + ours + rest.substr(theirs.size())] = value;
      return;
    }
  }
  out[layer + rest] = value;  // unknown: whoever loads it says so
}

Weights from_openai(const Weights& weights) {
  Weights out;
  const Pairs blocks{{"visual.transformer.resblocks.", "vision_model.encoder.layers."},
                     {"transformer.resblocks.", "text_model.encoder.layers."}};
  for (const auto& [name, value] : weights) {
    bool done = false;
    for (const auto& [theirs, ours] : blocks) {
      if (!name.starts_with(theirs)) continue;
      const std::size_t dot = name.find('.', theirs.size());
      if (dot == std::string::npos) break;
      const std::string number = name.substr(theirs.size(), dot + 1 - theirs.size());
      import_block_tensor(ours + number, name.substr(dot + 1), value, out);
      done = true;
      break;
    }
    for (const auto& [theirs, ours] : outside()) {
      if (!done && name == theirs) {
        out[ours] = value;
        done = true;
      }
    }
    if (done) continue;
    // Matrices that multiply from the right, [in, out].
    if ((name == "visual.proj" || name == "text_projection") && value.dim() == 2) {
      const std::string ours = name == "visual.proj" ? "visual_projection" : name;
      out[ours + ".weight"] = value.t().contiguous();
    } else {
      out[name] = value;
    }
  }
  return out;
}

// transformers 5 saves a single tower without its prefix.
Weights with_tower_prefix(Weights weights) {
  std::string prefix;
  if (weights.contains("embeddings.token_embedding.weight")) prefix = "text_model.";
  if (weights.contains("embeddings.patch_embedding.weight")) prefix = "vision_model.";
  if (prefix.empty()) return weights;
  Weights out;
  for (auto& [name, value] : weights) {
    bool inner = false;
    for (const char* part :
         {"embeddings.", "encoder.", "final_layer_norm.", "pre_layrnorm.", "post_layernorm."}) {
      inner = inner || name.starts_with(part);
    }
    out[inner ? prefix + name : name] = std::move(value);
  }
  return out;
}

void resize_positions(Weights& weights, const Config& config) {
  const auto vision = weights.find("vision_model.embeddings.position_embedding.weight");
  if (vision != weights.end() && vision->second.dim() == 2) {
    vision->second =
        nn::interpolate_positions(vision->second, 1, config.vision.grid(), config.vision.grid());
  }
  cut_rows(weights, "text_model.embeddings.position_embedding.weight", config.text.context_length);
}

}  // namespace

Weights import_weights(Weights weights, const Settings& settings) {
  std::erase_if(weights, [](const auto& item) { return is_no_weight(item.first); });
  weights = without_module_prefix(std::move(weights));
  if (weights.contains("visual.conv1.weight")) weights = from_openai(weights);
  weights = with_tower_prefix(std::move(weights));
  resize_positions(weights, config_of(settings));
  return weights;
}

}  // namespace tandem::models::clip
