#pragma once
// What a Qwen2-VL or a Qwen2.5-VL is made of: two families, one folder. Source: Wang et al. 2024
// (arXiv:2409.12191), section 2.1; Bai et al. 2025 (arXiv:2502.13923), section 2.1 and table 1;
// transformers:models/{qwen2_vl,qwen2_5_vl}. The defaults are those of the released 2B and 3B.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/language_config.h"
#include "models/preference.h"
#include "models/qwen2_vl/layout.h"
#include "models/settings.h"
#include "tandem/base/fields.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/rotary.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/any_resolution.h"
#include "tandem/vision/frames.h"
#include "tandem/vision/transform.h"

namespace tandem::models::qwen2_vl {

enum class Version { two, two_five };
const std::string& family_of(Version version);  // qwen2_vl, qwen25_vl
const std::string& class_of(Version version);   // of transformers

struct VisionConfig {
  std::int64_t width = 1280, layers = 32, heads = 16;
  std::int64_t mlp = 0;  // hidden width of the MLP; 0: 4 x width
  std::string activation = "quick_gelu";
  std::int64_t channels = 3;
  vision::PatchShape patch{};
  double theta = 10000;
  // Qwen2.5-VL: attention within windows of so many pixels a side, but in these blocks.
  std::int64_t window = 112;
  std::vector<std::int64_t> full_attention{7, 15, 23, 31};

  std::int64_t hidden() const { return mlp > 0 ? mlp : 4 * width; }
  std::int64_t numbers() const;      // of a patch
  std::int64_t window_side() const;  // in cells
};

struct TextConfig {
  std::int64_t width = 1536, layers = 28, heads = 12, kv_heads = 2, mlp = 8960;
  std::int64_t vocab_size = 0;          // 0: the tokenizer's
  std::int64_t context_length = 32768;  // most tokens of a sample
  std::string activation = "silu";
  double rms_norm_eps = 1e-6;
  double theta = 1e6;
  std::vector<std::int64_t> sections{16, 24, 24};  // frequencies of time, height and width
  nn::RopeScaling scaling{};
  SlidingWindow sliding{};
  bool tied = true;  // the output matrix is the table of words

  std::int64_t head_dim() const { return width / heads; }
};

// Ids of marks; -1: the tokenizer's.
struct Marks {
  std::int64_t image = -1, video = -1, vision_start = -1, vision_end = -1;
  std::int64_t end = -1;  // of a turn: what a reply ends with
  std::int64_t pad = -1;
};

// What a dialogue looks like and how large its pictures are.
struct DialogueConfig {
  std::string chat = "chatml";
  std::string system{};  // instead of the template's
  bool number_pictures = false;
  double min_pixels = 56 * 56, max_pixels = 28 * 28 * 1280;
  std::string resize = "transformers";  // rule of smart_resize: transformers or qwen
  vision::FrameRule frames{};
  std::vector<double> rates{};  // in training, frames.fps is drawn from these; empty: it is not
};

struct Config final : Settings {
  explicit Config(Version version);

  Version version;
  VisionConfig vision;
  TextConfig text;
  std::string vision_pretrained{}, language_pretrained{};  // folders of the parts' weights
  Marks marks;
  std::int64_t tokens_per_second = 2;  // Qwen2.5-VL: positions in time
  std::string rope_after_video = "qwen";
  DialogueConfig dialogue;
  PreferenceConfig preference;
  vision::ImageSettings image;

  void fields(FieldVisitor& visitor) override;
  nn::DecoderShape decoder_shape() const;
  nn::RopeShape rope_shape() const;
  PositionRule position_rule() const;
};

// (field, what is wrong) of everything that no single field's range can say.
Problems problems(const Config& config);

// Throws Error(config) naming the JSON path.
std::unique_ptr<Settings> from_config_json(Version version, const std::string& json);
std::string to_config_json(const Settings& settings);
// preprocessor_config.json, both ways.
std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings);
void read_processor_file(Settings& settings, const std::string& json);

// Sizes of the language model from the config.json of a Qwen2 in `folder`, where there is one; what
// that does not have (sections, context_length) stays.
void read_text_sizes(Config& config, const std::string& folder);

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

}  // namespace tandem::models::qwen2_vl
