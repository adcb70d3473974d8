#pragma once
// What a BLIP-2 is made of. Source: Li et al. 2023 (arXiv:2301.12597), sections 3.1 to 3.4;
// salesforce/LAVIS:lavis/models/blip2_models. The names in YAML are the paper's words, those of
// config.json are Hugging Face's (Blip2Config), with what the first stage adds to them.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/settings.h"
#include "models/tower_config.h"
#include "tandem/base/fields.h"
#include "tandem/nn/opt.h"
#include "tandem/nn/t5.h"
#include "tandem/nn/vit.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/transform.h"

namespace tandem::models::blip2 {

struct VisionConfig : BertTower {
  std::int64_t image_size = 224, patch_size = 14;
  double drop_path = 0;  // of the last block
  // Of the norm behind the tower (ln_vision), which is trained where the tower is frozen; 0:
  // layer_norm_eps, as Hugging Face has it. The released code has 1e-5.
  double last_norm_eps = 1e-5;
  bool qkv_bias = true;
  bool clip = false;         // CLIP's: a norm in front, patches without bias
  std::string pretrained{};  // a folder with the tower's weights; empty: from nothing

  VisionConfig() { layer_norm_eps = 1e-6; }
  nn::VitShape shape() const;
};

// What the vocabulary says is open (0, -1) until a tokenizer or a config.json fills it in.
struct QFormerConfig : BertTower {
  std::int64_t queries = 32;
  std::int64_t cross_every = 2;  // layers 0, 2, 4, ... look at the picture
  bool text = true;              // reads and writes words, too (the first stage)
  std::int64_t context_length = 32;
  std::int64_t positions = 512;  // rows of the table of positions
  std::int64_t vocab_size = 0;
  // [CLS] begins a text, [DEC] (bos) one that is written, [SEP] ends it.
  std::int64_t cls_id = -1, bos_id = -1, sep_id = -1, pad_id = -1;
  double dropout = 0.1, attention_dropout = 0.1;
};

// The language model of the second stage.
struct LanguageConfig {
  std::string kind = "opt";  // opt, t5
  std::string pretrained{};  // a Hugging Face directory; empty: from nothing
  std::int64_t width = 768, layers = 12, heads = 12, mlp = 0;
  std::string activation{};  // empty: relu of OPT, gelu of T5
  double dropout = 0.1;
  std::int64_t context_length = 32;  // most tokens of a text, marks included
  std::int64_t vocab_size = 0;
  // bos begins a text, eos ends it, start begins what T5 writes (pad in the released models), image
  // is the word that stands in texts where the queries go (-1: they go in front).
  std::int64_t bos_id = -1, eos_id = -1, pad_id = -1, start_id = -1, image_id = -1;
  std::vector<std::int64_t> more_ends{};  // what ends a text, too: config.json's eos_token_id
  bool tied = true;
  // OPT
  std::int64_t positions = 2048, word_width = 0;
  bool norm_before = true, last_norm = true, bias = true, norm_weights = true;
  double attention_dropout = 0;
  // T5
  std::int64_t head_width = 64, decoder_layers = 0;  // 0: layers
  std::int64_t buckets = 32, max_distance = 128;
  bool gated = true, scaled = true;  // scaled: as a tied head wants it
  double eps = 1e-6;

  std::int64_t hidden() const { return mlp > 0 ? mlp : 4 * width; }
  bool is_t5() const { return kind == "t5"; }
  std::vector<std::int64_t> ends() const;  // all marks that end a text; none: empty
  nn::OptShape opt() const;
  nn::T5Shape t5() const;
};

// Which of the original's classes.
enum class Kind {
  pretrain,    // Blip2Qformer: the first stage
  generation,  // Blip2ForConditionalGeneration: the second stage
  retrieval,   // Blip2ForImageTextRetrieval: contrast and matching
  model,       // Blip2Model: the same as generation
};
const std::string& class_of(Kind kind);

struct Config final : Settings {
  std::string kind = "pretrain";
  VisionConfig vision;
  QFormerConfig qformer;
  LanguageConfig language;
  std::int64_t embed_dim = 256;  // of the contrast: image_text_hidden_size
  double temperature = 0.07;     // similarities are divided by it
  double label_smoothing = 0.1;  // of the contrast and of the words, first stage
  std::string question = "Question: {} Short answer:";  // how the second stage is asked
  std::string prompt{};         // before every caption of the second stage, not learned itself
  vision::ImageSettings image;  // its size is vision.image_size
  vision::AugmentSettings augment;
  // Training shows a picture in one of so many views, drawn once for all; 0: anew each time.
  std::int64_t views = 0;

  Kind the_kind() const;
  bool writes() const;  // has a language model
  void fields(FieldVisitor& visitor) override;
  vision::ImageSettings image_settings() const;
};

// (field, what is wrong) of everything that no single field's range can say.
Problems problems(const Config& config);

// Throws Error(config) naming the JSON path.
std::unique_ptr<Settings> from_config_json(const std::string& json);
std::string to_config_json(const Settings& settings);
// text_config of a Blip2Config, or config.json of a language model by itself.
void read_language_json(LanguageConfig& language, const std::string& json);
// preprocessor_config.json, both ways.
std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings);
void read_processor_file(Settings& settings, const std::string& json);

// Sizes of language.pretrained; then, rows for [DEC] and padding are added behind the tokenizer's
// where it has no such tokens.
void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

}  // namespace tandem::models::blip2
