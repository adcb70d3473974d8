#pragma once
// What an ALBEF is made of. Source: Li et al. 2021 (arXiv:2107.07651), section 3;
// salesforce/ALBEF:configs/{Pretrain.yaml,config_bert.json}, models/model_pretrain.py. The names in
// YAML are the paper's words, those of config.json the original code's.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/settings.h"
#include "tandem/base/fields.h"
#include "tandem/nn/bert.h"
#include "tandem/nn/vit.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/transform.h"

namespace tandem::models::albef {

// The image encoder: norms 1e-6 and an MLP of 4 x width, as fixed in the original.
struct VisionConfig {
  std::int64_t image_size = 256, patch_size = 16;
  std::int64_t width = 768, layers = 12, heads = 12;

  nn::VitShape shape() const;
};

// One BERT: its first `fusion_layer` layers are the text encoder, the others, which have
// cross-attention, the multimodal encoder. What the vocabulary says is open (0, -1) until a
// tokenizer or a config.json fills it in.
struct TextConfig {
  std::int64_t width = 768, layers = 12, heads = 12;
  std::int64_t mlp = 0;  // hidden width of the MLP; 0: 4 x width
  std::int64_t fusion_layer = 6;
  std::string activation = "gelu";
  double layer_norm_eps = 1e-12;
  double dropout = 0.1, attention_dropout = 0.1;
  std::int64_t positions = 512, types = 2;
  std::int64_t vocab_size = 0, cls_id = -1, pad_id = -1;
  std::int64_t sep_id = -1;          // ends an answer; no other text
  std::int64_t context_length = 25;  // most tokens of a text, [CLS] included
  std::int64_t words = 30;           // most words of a caption; the rest is cut before tokens
  bool clean = true;                 // captions without most punctuation, as in the original

  // encoder_width: of a picture's rows.
  nn::BertShape shape(std::int64_t encoder_width) const;
};

// Which of the original's models, each the class ALBEF of its module.
enum class Kind {
  pretrain,    // model_pretrain: class ALBEF
  retrieval,   // model_retrieval.ALBEF: contrast and matching, positives by the picture's number
  entailment,  // model_ve.ALBEF: three classes of a pair
  assignment,  // model_pretrain_nlvr.ALBEF: to which of two pictures a text belongs
  reasoning,   // model_nlvr.ALBEF: two classes of a text with two pictures
  answering,   // model_vqa.ALBEF: a decoder that reads the fused question
};
const std::string& class_of(Kind kind);

struct Config final : Settings {
  std::string kind = "pretrain";
  bool distill = true;              // fine-tuning: targets partly the copies' answers
  std::int64_t decoder_layers = 6;  // of answering
  VisionConfig vision;
  TextConfig text;
  std::int64_t embed_dim = 256;  // of the contrast
  std::int64_t queue = 65536;
  double temperature = 0.07, momentum = 0.995, alpha = 0.4;
  std::int64_t alpha_ramp = 0;         // steps over which alpha grows from 0; 0: none
  std::string itm_negatives = "hard";  // of matching: by their likeness, or random
  double mask_probability = 0.15;      // of a token
  vision::ImageSettings image;         // its size is vision.image_size
  vision::AugmentSettings augment;

  Kind the_kind() const;
  bool copies() const;  // are there momentum copies?
  // Of the head of entailment (contradiction, neutral, entailment) and of reasoning (false, true).
  std::int64_t classes() const { return the_kind() == Kind::reasoning ? 2 : 3; }
  // Each text is fused with two pictures.
  bool sees_two() const { return kind == "assignment" || kind == "reasoning"; }
  // The text's shape in this kind: one that sees two has its fusion layers twice, one for each
  // picture.
  nn::BertShape text_shape() const;
  nn::BertShape decoder_shape() const;
  void fields(FieldVisitor& visitor) override;
  vision::ImageSettings image_settings() const;
};

// (field, what is wrong) of everything that no single field's range can say.
Problems problems(const Config& config);

// Throws Error(config) naming the JSON path.
std::unique_ptr<Settings> from_config_json(const std::string& json);
std::string to_config_json(const Settings& settings);
// preprocessor_config.json, both ways: the original has no such file, other tools read it.
std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings);
void read_processor_file(Settings& settings, const std::string& json);

// The decoder's layers, which config.json does not say, from the names of the weights.
void fit_weights(Settings& settings, const std::map<std::string, at::Tensor>& weights);

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

}  // namespace tandem::models::albef
