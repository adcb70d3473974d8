#pragma once
// What a BLIP is made of. Source: Li et al. 2022 (arXiv:2201.12086), sections 3.1 and 4.1;
// salesforce/BLIP:configs/{bert,med}_config.json. The names in YAML are the paper's words, those of
// config.json are Hugging Face's (BlipConfig), with what pre-training adds to them.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/settings.h"
#include "models/tower_config.h"
#include "tandem/base/fields.h"
#include "tandem/nn/bert.h"
#include "tandem/nn/vit.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/transform.h"

namespace tandem::models::blip {

struct VisionConfig : BertTower {
  std::int64_t image_size = 224, patch_size = 16;
  double drop_path = 0;  // of the last block; the large model has 0.1

  VisionConfig() { layer_norm_eps = 1e-6; }
  nn::VitShape shape() const;
};

// What the vocabulary says is open (0, -1) until a tokenizer or a config.json fills it in.
struct TextConfig : BertTower {
  std::int64_t context_length = 30;  // most tokens of a caption, marks included
  std::int64_t positions = 512;      // rows of the table of positions
  std::int64_t vocab_size = 0;
  // [CLS] begins a text for the unimodal encoder, [ENC] for the grounded one, [DEC] (bos) for the
  // decoder; [SEP] ends it.
  std::int64_t cls_id = -1, enc_id = -1, bos_id = -1, sep_id = -1, pad_id = -1;
  double dropout = 0.1, attention_dropout = 0.1;
  double label_smoothing = 0.1;
  bool cross_attention = true;  // is_decoder in Hugging Face's files
  bool clean = true;            // captions and questions as the released code cleans them
  std::int64_t words = 0;       // most of them; 0: as released (Config::most_words)

  // encoder_width: of a picture's rows.
  nn::BertShape shape(std::int64_t encoder_width) const;
};

// Which of the original's classes: what heads there are, and under what names parts stand in files.
enum class Kind {
  pretrain,    // BLIP_Pretrain: all of it, with momentum copies and queues
  captioning,  // BlipForConditionalGeneration: pictures and the decoder
  answering,   // BlipForQuestionAnswering: pictures, a grounded encoder and a decoder of its own
  retrieval,   // BlipForImageTextRetrieval: pictures, the encoder, both projections, matching
  contrast,    // BlipModel: two towers in CLIP's manner
  reasoning,   // BLIP_NLVR: pairs of pictures with a sentence, true or false
  matching,    // BLIP_Retrieval: contrast and matching, positives by the picture's number
};
const std::string& class_of(Kind kind);

struct Config final : Settings {
  std::string kind = "pretrain";
  VisionConfig vision;
  TextConfig text;
  std::int64_t embed_dim = 256;  // of the contrast: image_text_hidden_size
  // Of the contrast with momentum, section 3.2.
  double temperature = 0.07, momentum = 0.995, alpha = 0.4;
  std::int64_t alpha_ramp = 0;  // steps over which alpha grows from 0; 0: none
  std::int64_t queue = 57600;
  std::string itm_negatives = "hard";  // of matching: by their likeness, or random
  std::string prompt{};  // before every caption that the decoder learns, not learned itself
  // Of BlipModel only.
  std::int64_t projection_dim = 512;
  double logit_scale_init = 2.6592;
  bool tied = true;             // the decoder's output matrix is the table of words
  vision::ImageSettings image;  // its size is vision.image_size
  vision::AugmentSettings augment;

  Kind the_kind() const;
  bool copies() const;  // are there momentum copies and queues?
  std::int64_t most_words() const;
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

// Rows for [DEC], [ENC] and padding are added behind the tokenizer's where it has no such tokens.
void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

}  // namespace tandem::models::blip
