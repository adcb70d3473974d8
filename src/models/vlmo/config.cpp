#include "models/vlmo/config.h"

#include <algorithm>
#include <cmath>

#include "models/limits.h"
#include "tandem/base/error.h"

namespace tandem::models::vlmo {
namespace {

struct Part {
  const char* name;
  bool Parts::*flag;
};
const std::vector<Part>& part_names() {
  static const std::vector<Part> names{{"itc", &Parts::itc},    {"itc_vl", &Parts::itc_vl},
                                       {"itm", &Parts::itm},    {"mlm", &Parts::mlm},
                                       {"mim", &Parts::mim},    {"vqa", &Parts::vqa},
                                       {"nlvr2", &Parts::nlvr2}};
  return names;
}

void part_fields(FieldVisitor& v, Parts& parts) {
  std::vector<std::string> all, chosen;
  for (const Part& part : part_names()) {
    all.emplace_back(part.name);
    if (parts.*part.flag) chosen.emplace_back(part.name);
  }
  v.field("parts", chosen,
          {.doc = "heads on the transformer: itc and itc_vl (the two contrasts), itm (matching), "
                  "mlm (hidden tokens), mim (codes of hidden patches), vqa (answers of a closed "
                  "list), nlvr2 (true or false of two pictures)"});
  for (const Part& part : part_names()) {
    parts.*part.flag = std::find(chosen.begin(), chosen.end(), part.name) != chosen.end();
  }
  for (const std::string& name : chosen) {
    if (std::find(all.begin(), all.end(), name) == all.end()) {
      v.problem("parts", "expected itc, itc_vl, itm, mlm, mim, vqa or nlvr2; got " + name);
    }
  }
}

void shape_fields(FieldVisitor& v, Config& c) {
  v.field("image_size", c.image_size, {.doc = "pixels of a side", .min = 1, .max = 4096});
  v.field("patch_size", c.patch_size, {.doc = "pixels of a patch's side", .min = 1, .max = 4096});
  v.field("width", c.width, {.doc = "numbers per token", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("mlp_ratio", c.mlp_ratio,
          {.doc = "hidden width of an expert, in widths", .min = 0, .max = 64, .above_min = true});
  v.field("joint_from", c.joint_from,
          {.doc = "the first block with the expert for pairs; as many as layers: none has it",
           .min = 0,
           .max = deepest});
  v.field("context_length", c.context_length,
          {.doc = "most tokens of a text, marks included", .min = 3, .max = 65536});
  v.field("longest_text", c.longest_text,
          {.doc = "tokens of the longest text that the table of relative positions serves: that of "
                  "the language stage",
           .min = 2,
           .max = 65536});
  v.field("longest_text_before", c.longest_text_before,
          {.doc = "longest_text of the weights that the model begins with, where it was another: "
                  "offsets keep their rows, farther ones begin as the farthest; 0: the same",
           .min = 0,
           .max = 65536});
  v.field("vocab_size", c.vocab_size,
          {.doc = "tokens; 0: the tokenizer's", .min = 0, .max = 10'000'000});
  v.field("pad_id", c.pad_id, {.doc = "-1: the tokenizer's", .min = -1, .max = 10'000'000});
  v.field("layer_scale", c.layer_scale,
          {.doc = "initial factor of each branch (LayerScale); -1: none", .min = -1, .max = 1e6});
  v.field("absolute_positions", c.absolute_positions,
          {.doc = "a table of positions added to the patches"});
  v.field("relative_positions", c.relative_positions,
          {.doc = "relative positions as a bias of attention; without, a table is added to texts"});
}

}  // namespace

Problems problems(const Config& c) {
  Problems found;
  check_heads(found, "heads", c.width, c.heads);
  if (c.patch_size > 0 && c.image_size < c.patch_size) {
    found.emplace_back("patch_size", "expected at most image_size");
  }
  if (c.joint_from > c.layers) found.emplace_back("joint_from", "expected at most layers");
  if (c.hidden() < 1) found.emplace_back("mlp_ratio", "expected a hidden width of at least 1");
  // The rows of the table end there.
  if (c.relative_positions && c.context_length > c.longest_text + 3) {
    found.emplace_back("context_length", "expected at most longest_text + 3");
  }
  if (c.longest_text_before == 1) {
    found.emplace_back("longest_text_before", "expected 2 or more, or 0");
  }
  if (c.parts.vqa && c.parts.nlvr2) {
    found.emplace_back("parts", "expected at most one of vqa and nlvr2");
  }
  return found;
}

void Config::fields(FieldVisitor& v) {
  shape_fields(v, *this);
  part_fields(v, parts);
  v.field("drop_path", drop_path,
          {.doc = "stochastic depth of the last block, from 0 linearly; also the dropout of text "
                  "embeddings, as in the original code",
           .min = 0,
           .max = 0.999});
  v.field("logit_scale_init", logit_scale_init,
          {.doc = "log of the inverse temperatures at the start", .min = -10, .max = 10});
  v.block("masking", {.doc = "which tokens are hidden"}, [&](FieldVisitor& inner) {
    inner.field("share", masking.share, {.doc = "of the words or tokens", .min = 0, .max = 1});
    inner.field("whole_words", masking.whole_words,
                {.doc = "all pieces of a word, or each on its own"});
  });
  v.field(
      "negatives", negatives,
      {.doc = "where matching draws its hard negatives: from the micro-batches of all ranks, or "
              "from the own one",
       .choices = {"global", "group"}});
  v.field("labels", labels,
          {.doc = "vqa: answers; 0: those of the data's closed list", .min = 0, .max = 10'000'000});
  v.field("codes", codes, {.doc = "visual codes of patches", .min = 2, .max = 1 << 20});
  v.block("patch_masking", {.doc = "which patches are hidden"},
          [&](FieldVisitor& inner) { vision::fields(inner, patch_masking); });
  view_fields(v, image, augment);
  for (const auto& [field, text] : problems(*this)) v.problem(field, text);
}

vision::ImageSettings Config::image_settings() const {
  vision::ImageSettings settings = image;
  settings.size = image_size;
  return settings;
}

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

std::int64_t Config::classes() const {
  if (!parts.vqa) return 2;
  return labels > 0 ? labels : 3129;
}

void fit_answers(Settings& settings, const std::vector<std::string>& answers) {
  auto& config = dynamic_cast<Config&>(settings);
  if (!config.parts.vqa) return;
  fit_labels(config.labels, answers);
  config.answers = answers;
}

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& config = dynamic_cast<Config&>(settings);
  if (config.vocab_size == 0) config.vocab_size = tokenizer.vocab_size();
  if (config.pad_id < 0) config.pad_id = tokenizer.id_of("[PAD]").value_or(0);
  expect_rows(config.vocab_size, tokenizer, "model.vocab_size");
}

}  // namespace tandem::models::vlmo
