#pragma once
// Settings of a transformer of the contrastive kind, and of the vision tower that other systems
// take from it; the names in config.json are Hugging Face's.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "models/config_node.h"
#include "models/settings.h"
#include "tandem/base/fields.h"
#include "tandem/base/random.h"
#include "tandem/nn/vision_tower.h"

namespace tandem::models {

struct Tower {
  std::int64_t width = 512, layers = 12, heads = 8;
  std::int64_t mlp = 0;  // hidden width of the MLP; 0: 4 x width
  std::string activation = "quick_gelu";
  double layer_norm_eps = 1e-5;

  std::int64_t hidden() const { return mlp > 0 ? mlp : 4 * width; }
};

struct VisionConfig : Tower {
  std::int64_t image_size = 224, patch_size = 32;
  std::int64_t grid() const { return image_size / patch_size; }
};

// With BERT's sizes and norms, as text transformers that began as BERT have them.
struct BertTower : Tower {
  BertTower() {
    width = 768;
    heads = 12;
    activation = "gelu";
    layer_norm_eps = 1e-12;
  }
};

void tower_fields(FieldVisitor& visitor, Tower& tower);
// heads, activation: what a family says of them.
void tower_fields(FieldVisitor& visitor, Tower& tower, const Rule& heads, const Rule& activation);
void vision_fields(FieldVisitor& visitor, VisionConfig& config);
void check_vision(Problems& found, const VisionConfig& config);

// Absent keys have the defaults of transformers 5.17's CLIPTextConfig and CLIPVisionConfig.
void read_tower(const ConfigNode& node, Tower& tower, std::int64_t width, std::int64_t heads);
void read_vision(const ConfigNode& node, VisionConfig& config);
// embed_dim: projection_dim, of the common space.
nlohmann::json tower_json(const Tower& tower, std::int64_t embed_dim);
nlohmann::json vision_json(const VisionConfig& config, std::int64_t embed_dim);

nn::BlockShape block_of(const Tower& tower);
nn::VitShape shape_of(const VisionConfig& config);

// As openai/CLIP initialises it; every tensor from the key and its own name behind `prefix`
// ("vision_model.").
void initialize_vision(nn::VisionTower& tower, const VisionConfig& config,
                       const std::string& prefix, Key init);
// The blocks of a tower; text: the spreads of the text tower.
void initialize_blocks(nn::EncoderStack& blocks, const Tower& tower, const std::string& prefix,
                       bool text, Key init);
// Norms: weights 1, biases 0.
void initialize_norms(torch::nn::Module& module);

}  // namespace tandem::models
