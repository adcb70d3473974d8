#pragma once
// What a CLIP is made of. Source: Radford et al. 2021, tables 19 and 20; the names in YAML are the
// paper's words, those of config.json are Hugging Face's (CLIPConfig).

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/settings.h"
#include "models/tower_config.h"
#include "tandem/base/fields.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/transform.h"

namespace tandem::models::clip {

// What the vocabulary says is open (0, -1) until a tokenizer or a config.json fills it in.
struct TextConfig : Tower {
  std::int64_t context_length = 77;
  std::int64_t vocab_size = 0;
  std::int64_t bos_id = -1, eos_id = -1, pad_id = -1;
  std::string pooling = "first_eos";
};

struct Config final : Settings {
  VisionConfig vision;
  TextConfig text;
  std::int64_t embed_dim = 512;
  double logit_scale_init = 2.6592600369327783;  // ln(1 / 0.07)
  vision::ImageSettings image;                   // its size is vision.image_size
  vision::AugmentSettings augment;

  void fields(FieldVisitor& visitor) override;
  vision::ImageSettings image_settings() const;
};

// (field, what is wrong) of everything that no single field's range can say.
Problems problems(const Config& config);

// Throws Error(config) naming the JSON path.
std::unique_ptr<Settings> from_config_json(const std::string& json);
std::string to_config_json(const Settings& settings);
// preprocessor_config.json, both ways.
std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings);
void read_processor_file(Settings& settings, const std::string& json);

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

}  // namespace tandem::models::clip
