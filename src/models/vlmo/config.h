#pragma once
// What a VLMo is made of. Source: Bao et al. 2022, table 1 and section 3; the names in YAML are the
// paper's words, those of config.json are the arguments of microsoft/unilm's VLMo.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/settings.h"
#include "tandem/base/fields.h"
#include "tandem/text/masking.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/block_masking.h"
#include "tandem/vision/transform.h"

namespace tandem::models::vlmo {

// Which heads stand on the transformer. A file of the language stage holds only `mlm`.
struct Parts {
  bool itc = true;     // contrast, path 1: every expert of the own modality
  bool itc_vl = true;  // contrast, path 2: the last layers by the joint expert
  bool itm = true;     // does the text belong to the picture?
  bool mlm = true;     // the hidden tokens
  bool mim = false;    // the codes of hidden patches
  bool vqa = false;    // answers of a closed list
  bool nlvr2 = false;  // is the text true of two pictures?
};

struct Config final : Settings {
  std::int64_t image_size = 224, patch_size = 16;
  std::int64_t width = 768, layers = 12, heads = 12;
  double mlp_ratio = 4;
  // The first layer with the joint expert; `layers`: none has it.
  std::int64_t joint_from = 10;
  std::int64_t context_length = 40;  // tokens of a text
  std::int64_t longest_text = 196;   // of the first stage's texts: the table's rows follow from it
  std::int64_t longest_text_before = 0;  // of the weights that it begins with; 0: the same
  std::int64_t vocab_size = 0, pad_id = -1;
  double layer_scale = 0.1;         // initial value; below 0: no LayerScale
  bool absolute_positions = false;  // of patches, as a table that is added
  bool relative_positions = true;   // of tokens and patches, as a bias; off: texts get a table
  double drop_path = 0.1;           // of the last layer, and the dropout of text embeddings
  double logit_scale_init = 2.6592600369327783;  // ln(1 / 0.07)
  Parts parts{};
  text::MaskingRule masking{.whole_words = true};
  std::string negatives = "global";    // of matching: of the micro-batches of all ranks, or the own
  std::int64_t codes = 8192;           // of PatchCodes
  std::int64_t labels = 0;             // of vqa; 0: as `answers`
  std::vector<std::string> answers{};  // their names; empty: unknown
  vision::BlockMaskingRule patch_masking{};
  vision::ImageSettings image{.mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}};
  vision::AugmentSettings augment{.min_scale = 0.5};

  void fields(FieldVisitor& visitor) override;
  std::int64_t grid() const { return image_size / patch_size; }
  std::int64_t patches() const { return grid() * grid(); }
  // Of the table that it begins with.
  std::int64_t longest_begun() const {
    return longest_text_before > 0 ? longest_text_before : longest_text;
  }
  std::int64_t hidden() const {
    return static_cast<std::int64_t>(static_cast<double>(width) * mlp_ratio);
  }
  vision::ImageSettings image_settings() const;
  // Of the classifier: 3129 answers of VQAv2 where nothing says how many; true and false.
  std::int64_t classes() const;
  // Kinds of tokens: text, picture, and of two pictures the second.
  std::int64_t kinds() const { return parts.nlvr2 ? 3 : 2; }
};

// (field, what is wrong) of everything that no single field's range can say.
Problems problems(const Config& config);

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

}  // namespace tandem::models::vlmo
