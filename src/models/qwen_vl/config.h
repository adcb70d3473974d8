#pragma once
// What a Qwen-VL is made of. Source: Bai et al. 2023 (arXiv:2308.12966), section 2; the names in
// YAML are plain words, those of config.json are the released code's (QWenConfig).

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/settings.h"
#include "tandem/base/fields.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/transform.h"

namespace tandem::models::qwen_vl {

// The tower of pictures and the resampler on top of it, whose width is the language model's.
struct VisionConfig {
  std::int64_t image_size = 448, patch_size = 14;
  std::int64_t width = 1664, layers = 48, heads = 16;
  double mlp_ratio = 4.9231;
  std::int64_t queries = 256;  // tokens of a picture; a square number

  std::int64_t hidden() const;      // of the MLP
  std::int64_t query_grid() const;  // the side of the square that the queries form
};

struct LanguageConfig {
  std::int64_t width = 4096, layers = 32, heads = 32;
  std::int64_t mlp = 11008;     // half of config.json's intermediate_size
  std::int64_t vocab_size = 0;  // 0: the tokenizer's
  std::int64_t seq_length = 2048;
  std::int64_t positions = 8192;  // config.json's max_position_embeddings: noted, not used
  double rotary_base = 10000;
  double rms_norm_eps = 1e-6;
  bool bias = false;  // of every layer but c_attn, which always has one
  bool dynamic_ntk = true, logn = true;
  bool tied = false;  // the head is the table of words
  double init_std = 0.02;

  std::int64_t head_dim() const { return width / heads; }
};

struct Config final : Settings {
  VisionConfig vision;
  LanguageConfig language;
  std::int64_t image_start = -1;  // <img>; </img> and <imgpad> follow it. -1: the tokenizer's
  std::int64_t eos_id = -1;       // <|endoftext|>
  std::int64_t stop_id = -1;      // <|im_end|>, which ends a reply
  std::string format = "chat";    // of samples: chat (ChatML) or continued (pre-training)
  std::string system{};           // instead of the template's; chat
  std::int64_t max_tokens = 0;    // of a sample; 0: language.seq_length
  vision::ImageSettings image;    // its size is vision.image_size

  void fields(FieldVisitor& visitor) override;
  vision::ImageSettings image_settings() const;
  // Heads of 128 numbers in the resampler; one where it is narrower.
  std::int64_t resampler_heads() const { return language.width < 128 ? 1 : language.width / 128; }
  std::int64_t image_end() const { return image_start + 1; }
  std::int64_t image_pad() const { return image_start + 2; }
  std::int64_t picture_tokens() const;  // of one picture, without its marks
  std::int64_t sample_tokens() const { return max_tokens > 0 ? max_tokens : language.seq_length; }
};

Problems problems(const Config& config);

// Throws Error(config) naming the JSON path.
std::unique_ptr<Settings> from_config_json(const std::string& json);
std::string to_config_json(const Settings& settings);

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

}  // namespace tandem::models::qwen_vl
