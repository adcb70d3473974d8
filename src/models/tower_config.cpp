#include "models/tower_config.h"

#include <cmath>

#include "models/limits.h"
#include "models/tower_text.h"
#include "tandem/nn/init.h"

namespace tandem::models {
namespace {

using nlohmann::json;

}  // namespace

std::string tower_text(const Tower& t, std::int64_t patch_size,
                       const vision::ImageSettings& image) {
  std::string text = "width " + std::to_string(t.width) + " layers " + std::to_string(t.layers) +
                     " heads " + std::to_string(t.heads) + " mlp " + std::to_string(t.hidden()) +
                     " " + t.activation + " eps " + std::to_string(t.layer_norm_eps * 1e12) +
                     " patch " + std::to_string(patch_size);
  for (const std::vector<double>& numbers : {image.mean, image.std}) {
    for (const double number : numbers) text.append(" ").append(std::to_string(number * 1e9));
  }
  return text;
}

void tower_fields(FieldVisitor& v, Tower& t) {
  tower_fields(v, t,
               {.doc = "attention heads; 64 numbers each in the original", .min = 1, .max = widest},
               {.doc = "quick_gelu as released, gelu in later reproductions",
                .choices = {"quick_gelu", "gelu"}});
}

void tower_fields(FieldVisitor& v, Tower& t, const Rule& heads, const Rule& activation) {
  v.field("width", t.width, {.doc = "numbers per token", .min = 1, .max = widest});
  v.field("layers", t.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", t.heads, heads);
  v.field("mlp", t.mlp,
          {.doc = "hidden width of the MLP; 0: 4 x width", .min = 0, .max = 16 * widest});
  v.field("activation", t.activation, activation);
  v.field("layer_norm_eps", t.layer_norm_eps,
          {.doc = "added to the variance", .min = 0, .max = 1, .above_min = true});
}

void vision_fields(FieldVisitor& v, VisionConfig& c) {
  v.field("image_size", c.image_size, {.doc = "pixels of a side", .min = 1, .max = 4096});
  v.field("patch_size", c.patch_size, {.doc = "pixels of a patch's side", .min = 1, .max = 4096});
  tower_fields(v, c);
}

void check_vision(Problems& found, const VisionConfig& c) {
  check_heads(found, "vision.heads", c.width, c.heads);
  if (c.patch_size > 0 && c.image_size < c.patch_size) {
    found.emplace_back("vision.patch_size", "expected at most image_size");
  }
}

void read_tower(const ConfigNode& node, Tower& t, std::int64_t width, std::int64_t heads) {
  t.width = node.whole("hidden_size", width, 1, 65536);
  t.layers = node.whole("num_hidden_layers", 12, 1, 1024);
  t.heads = node.whole("num_attention_heads", heads, 1, 65536);
  t.mlp = node.whole("intermediate_size", 4 * width, 1, 1 << 20);
  t.layer_norm_eps = node.number("layer_norm_eps", 1e-5);
  if (!(t.layer_norm_eps > 0 && t.layer_norm_eps <= 1)) {
    wrong_config(node.path + "layer_norm_eps", "a number above 0", *node.find("layer_norm_eps"));
  }
  t.activation = node.text("hidden_act", "quick_gelu");
  if (t.activation != "quick_gelu" && t.activation != "gelu") {
    wrong_config(node.path + "hidden_act", "quick_gelu or gelu", *node.find("hidden_act"));
  }
  warn_of_dropout(node, "attention_dropout");
}

nlohmann::json tower_json(const Tower& t, std::int64_t embed_dim) {
  return {{"hidden_size", t.width},        {"intermediate_size", t.hidden()},
          {"num_hidden_layers", t.layers}, {"num_attention_heads", t.heads},
          {"hidden_act", t.activation},    {"layer_norm_eps", t.layer_norm_eps},
          {"attention_dropout", 0.0},      {"projection_dim", embed_dim}};
}

void read_vision(const ConfigNode& v, VisionConfig& c) {
  read_tower(v, c, 768, 12);
  c.image_size = v.side("image_size", 224);
  c.patch_size = v.side("patch_size", 32);
  if (v.whole("num_channels", 3, 1, 4096) != 3) {
    wrong_config(v.path + "num_channels", "3", *v.find("num_channels"));
  }
}

nlohmann::json vision_json(const VisionConfig& c, std::int64_t embed_dim) {
  json vision = tower_json(c, embed_dim);
  vision["model_type"] = "clip_vision_model";
  vision["image_size"] = c.image_size;
  vision["patch_size"] = c.patch_size;
  vision["num_channels"] = 3;
  return vision;
}

nn::BlockShape block_of(const Tower& t) {
  return {t.width, t.heads, t.hidden(), t.layer_norm_eps, nn::activation_of(t.activation)};
}

nn::VitShape shape_of(const VisionConfig& c) {
  return {block_of(c), c.layers, c.image_size, c.patch_size};
}

// --- Initialisation: openai/CLIP:clip/model.py, initialize_parameters ------------------------

namespace {

// The text tower's weights are normal with these spreads; the vision tower keeps the defaults of
// PyTorch's MultiheadAttention, Linear and Conv2d.
void initialize_block(const std::string& name, nn::EncoderBlock& block, const Tower& t, bool text,
                      Key init) {
  const auto width = static_cast<double>(t.width), depth = static_cast<double>(t.layers);
  const double projection = 1 / std::sqrt(width * 2 * depth);
  const auto weight = [&](nn::Linear& linear, const std::string& part, double std, double bound) {
    const std::string full = name + part + ".weight";
    text ? nn::fill_normal(linear.weight, std, init, full)
         : nn::fill_uniform(linear.weight, bound, init, full);
  };
  auto& attention = *block.self_attn;
  const double xavier = std::sqrt(6 / (4 * width));  // of the packed [3 D, D]
  const double plain = 1 / std::sqrt(width);  // kaiming_uniform(a = sqrt 5): 1 / sqrt(fan in)
  weight(*attention.q_proj, "self_attn.q_proj", plain, xavier);
  weight(*attention.k_proj, "self_attn.k_proj", plain, xavier);
  weight(*attention.v_proj, "self_attn.v_proj", plain, xavier);
  weight(*attention.out_proj, "self_attn.out_proj", projection, plain);
  for (const auto& linear :
       {attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj}) {
    nn::fill_constant(linear->bias, 0);
  }
  auto& mlp = *block.mlp;
  const double hidden = 1 / std::sqrt(static_cast<double>(t.hidden()));
  weight(*mlp.fc1, "mlp.fc1", 1 / std::sqrt(2 * width), plain);
  weight(*mlp.fc2, "mlp.fc2", projection, hidden);
  nn::fill_uniform(mlp.fc1->bias, plain, init, name + "mlp.fc1.bias");
  nn::fill_uniform(mlp.fc2->bias, hidden, init, name + "mlp.fc2.bias");
}

}  // namespace

void initialize_blocks(nn::EncoderStack& blocks, const Tower& tower, const std::string& prefix,
                       bool text, Key init) {
  for (std::size_t i = 0; i < blocks.layers.size(); ++i) {
    initialize_block(prefix + "encoder.layers." + std::to_string(i) + ".", *blocks.layers[i], tower,
                     text, init);
  }
}

void initialize_vision(nn::VisionTower& tower, const VisionConfig& c, const std::string& prefix,
                       Key init) {
  initialize_norms(tower);
  auto& v = *tower.embeddings;
  const double spread = 1 / std::sqrt(static_cast<double>(c.width));
  const auto patch = static_cast<double>(3 * c.patch_size * c.patch_size);
  const std::string name = prefix + "embeddings.";
  nn::fill_normal(v.class_embedding, spread, init, name + "class_embedding");
  nn::fill_normal(v.position_embedding->weight, spread, init, name + "position_embedding.weight");
  nn::fill_uniform(v.patch_embedding->weight, 1 / std::sqrt(patch), init,
                   name + "patch_embedding.weight");
  initialize_blocks(*tower.encoder, c, prefix, false, init);
}

void initialize_norms(torch::nn::Module& module) {
  for (auto& item : module.named_parameters()) {
    if (item.key().find("norm") == std::string::npos &&
        item.key().find("layrnorm") == std::string::npos) {
      continue;
    }
    nn::fill_constant(item.value(), item.key().ends_with(".weight") ? 1 : 0);
  }
}

}  // namespace tandem::models
