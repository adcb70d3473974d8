#pragma once
// What a ViLT is made of. Source: Kim et al. 2021 (arXiv:2102.03334), section 4.2;
// dandelin/ViLT:vilt/config.py. Names in YAML are the paper's words, those of config.json are
// Hugging Face's (ViltConfig).

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/settings.h"
#include "tandem/base/fields.h"
#include "tandem/text/masking.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/transform.h"

namespace tandem::models::vilt {

struct TextConfig {
  std::int64_t context_length = 40;
  std::int64_t vocab_size = 0;    // 0: the tokenizer's
  std::int64_t pad_id = -1;       // -1: the tokenizer's
  std::int64_t unlearned = -1;    // the word whose row gets no gradient by being read; -1: none
  std::int64_t types = 2;         // rows of BERT's own type table, of which training uses row 0
  double layer_norm_eps = 1e-12;  // of the text embedding and of the MLM head
  text::MaskingRule masking{.whole_words = true};
};

// The transform of a picture: the shorter side to `size`, the longer one at most 1333/800 of it,
// both cut to a multiple.
struct PictureConfig : vision::ImageSettings {
  std::int64_t multiple = 0;  // 0: the patch's side
  PictureConfig();
};

// On the whole picture, before it is resized. The original pre-trains without.
struct AugmentConfig {
  double flip = 0;
  bool use_rand_augment = false;
  vision::RandAugmentSettings rand_augment{.variant = "vilt", .ops = 2, .magnitude = 9};
};

struct Config final : Settings {
  std::int64_t width = 768, layers = 12, heads = 12;
  std::int64_t mlp = 0;  // hidden width of the MLP; 0: 4 x width
  std::string activation = "gelu";
  double layer_norm_eps = 1e-6;  // of the transformer
  bool qkv_bias = true;
  double dropout = 0.1, attention_dropout = 0;
  std::int64_t image_size = 384, patch_size = 32;  // the grid of the table of positions
  std::int64_t most_patches = 200;                 // of a picture, drawn at random; -1: all
  std::int64_t modalities = 2;                     // rows of the modality table; 3 for two pictures
  // What stands on top: mlm, itm; one of vqa, nlvr2, tokens, rank. Empty: only the pooler.
  std::vector<std::string> parts{"mlm", "itm"};
  bool tied = false;                      // MLM's decoder is the word table; the original's is not
  std::int64_t labels = 0, pictures = 2;  // of the classifiers, 0: as `answers`; of nlvr2
  std::int64_t others = 15;               // rank: texts of other pictures beside the right one
  std::string others_of = "source";       // they are drawn of it, or of the "micro_batch"
  std::vector<std::string> answers{};     // their names; empty: unknown
  TextConfig text;
  PictureConfig image;
  AugmentConfig augment;

  void fields(FieldVisitor& visitor) override;
  std::int64_t hidden() const { return mlp > 0 ? mlp : 4 * width; }
  std::int64_t grid() const { return image_size / patch_size; }
  bool has(const std::string& part) const;
  // Retrieval is what the loss itm is of (parts: rank, without the matching of pre-training).
  bool ranks() const { return has("rank") && !has("itm"); }
  // How many such texts a sample must come with.
  std::int64_t others_drawn() const { return ranks() && others_of == "source" ? others : 0; }
  // Of the classifier: 3129 answers of VQAv2 where nothing says how many; true and false.
  std::int64_t classes() const;
  // No pooler for a label of each token, as in transformers.
  bool pooled() const { return parts.size() != 1 || parts[0] != "tokens"; }
};

// (field, what is wrong) of everything that no single field's range can say.
Problems problems(const Config& config);

// The classes of config.json that this family reads, and what each has on top.
std::vector<std::string> classes();

// Throws Error(config) naming the JSON path.
std::unique_ptr<Settings> from_config_json(const std::string& json);
std::string to_config_json(const Settings& settings);
// preprocessor_config.json, both ways.
std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings);
void read_processor_file(Settings& settings, const std::string& json);

// The closed list of vqa's answers.
void fit_answers(Settings& settings, const std::vector<std::string>& answers);
void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer);

const Config& config_of(const Settings& settings);

// The word that fills texts up to one length.
inline std::int64_t padding_of(const Config& config) {
  return config.text.pad_id > 0 ? config.text.pad_id : 0;
}

}  // namespace tandem::models::vilt
