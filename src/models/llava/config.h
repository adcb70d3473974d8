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

// From the tower's rows to words of the language model.
struct ConnectorConfig {
  std::string kind = "mlp";  // linear: one matrix
  std::int64_t layers = 2;   // of the MLP
  std::string activation = "gelu";
  bool bias = true;
};

struct Config final : Settings {
  VisionConfig vision;
  std::string vision_pretrained{};  // a folder with a CLIP's weights; empty: from nothing
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
  std::int64_t picture_tokens() const {
    return vision.grid() * vision.grid() + (class_token ? 1 : 0);
  }
};

// (field, what is wrong) of everything that no single field's range can say.
Problems problems(const Config& config);

// LlavaConfig, or the flat file of the original release. Throws Error(config) naming the JSON path.
std::unique_ptr<Settings> from_config_json(const std::string& json);
std::string to_config_json(const Settings& settings);
// preprocessor_config.json, both ways.
std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings);
void read_processor_file(Settings& settings, const std::string& json);

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

}  // namespace tandem::models::llava
