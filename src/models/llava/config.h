#pragma once
// What a LLaVA is made of. Source: Liu et al. 2023 (arXiv:2304.08485), 4.1; Liu et al. 2023b
// (LLaVA-1.5, arXiv:2310.03744), 3; the names in YAML are the papers' words, those of config.json
// Hugging Face's (LlavaConfig).

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/language_config.h"
#include "models/preference.h"
#include "models/settings.h"
#include "models/tower_config.h"
#include "tandem/base/fields.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/transform.h"

namespace tandem::models::llava {

// What EVA's tower has of its own.
struct EvaConfig {
  std::string activation = "gelu";
  double layer_norm_eps = 1e-6;
  bool qkv_bias = true;
};

struct TowerConfig : VisionConfig {
  std::string kind = "clip";  // of the table in tower.cpp
  EvaConfig eva{};
};

struct ResamplerConfig {
  std::int64_t grid = 16;  // queries a side of their square
  std::int64_t heads = 0;  // 0: one for each 128 numbers of a word

  std::int64_t heads_for(std::int64_t width) const;
};

struct QFormerConfig {
  std::int64_t queries = 32, width = 768, layers = 12, heads = 12;
  std::int64_t mlp = 0;          // 0: 4 x width
  std::int64_t cross_every = 2;  // layers 0, 2, 4, ... look at the picture

  std::int64_t hidden() const { return mlp > 0 ? mlp : 4 * width; }
};

// From the tower's rows to words of the language model.
struct ConnectorConfig {
  std::string kind = "mlp";  // of the table in connector.cpp; linear: one matrix
  std::int64_t layers = 2;   // of the MLP
  std::string activation = "gelu";
  bool bias = true;
  ResamplerConfig resampler{};
  QFormerConfig qformer{};
};

struct Config final : Settings {
  TowerConfig vision;
  std::string vision_pretrained{};  // a folder with the tower's weights; empty: from nothing
  // Rows after which block are seen: 0 before the first, negative ones from the end (-1: the last).
  std::vector<std::int64_t> feature_layers{-2};
  bool class_token = false;  // seen too
  ConnectorConfig connector;
  LanguageConfig language;
  std::string language_pretrained{};  // a Hugging Face directory; empty: from nothing
  std::int64_t image_id = -1;         // the token in whose places a picture's rows stand
  bool picture_marks = false;         // <im_start> and <im_end> around them
  std::int64_t start_id = -1, end_id = -1;
  std::string chat = "v1";  // text::chat_templates()
  std::string system{};     // instead of the template's
  std::int64_t max_tokens = 2048;
  std::string aspect = "pad";  // of pictures: pad to a square, or crop its centre
  PreferenceConfig preference;
  vision::ImageSettings image;  // its size is vision.image_size

  void fields(FieldVisitor& visitor) override;
  vision::ImageSettings image_settings() const;
  // feature_layers as numbers of blocks that have run.
  std::vector<std::int64_t> blocks() const;
  // Rows of a picture in front of the connector, and behind it.
  std::int64_t rows_seen() const { return vision.grid() * vision.grid() + (class_token ? 1 : 0); }
  std::int64_t picture_tokens() const;
};

// (field, what is wrong) of everything that no single field's range can say.
Problems problems(const Config& config);

// What becomes of `seen` rows of a picture, and what is wrong about a connector where it stands
// (connector.cpp).
std::int64_t rows_behind(const ConnectorConfig& connector, std::int64_t seen);
void check_connector(Problems& found, const Config& config);

// LlavaConfig, or the flat file of the original release. Throws Error(config) naming the JSON path.
std::unique_ptr<Settings> from_config_json(const std::string& json);
std::string to_config_json(const Settings& settings);
// preprocessor_config.json, both ways.
std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings);
void read_processor_file(Settings& settings, const std::string& json);

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

}  // namespace tandem::models::llava
