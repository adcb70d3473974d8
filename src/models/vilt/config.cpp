#include "models/vilt/config.h"

#include <algorithm>

#include "models/limits.h"
#include "tandem/base/error.h"
#include "tandem/nn/mlp.h"

namespace tandem::models::vilt {
namespace {

void transformer_fields(FieldVisitor& v, Config& c) {
  v.field("width", c.width, {.doc = "numbers per token", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("mlp", c.mlp,
          {.doc = "hidden width of the MLP; 0: 4 x width", .min = 0, .max = 16 * widest});
  v.field("activation", c.activation,
          {.doc = "of the MLP and of the MLM head, by transformers' name"});
  v.field(
      "layer_norm_eps", c.layer_norm_eps,
      {.doc = "added to the variance, in the transformer", .min = 0, .max = 1, .above_min = true});
  v.field("qkv_bias", c.qkv_bias, {.doc = "queries, keys and values have a bias"});
  v.field("dropout", c.dropout, {.doc = "of embeddings, attention and MLP", .min = 0, .max = 0.99});
  v.field("attention_dropout", c.attention_dropout,
          {.doc = "of the attention's probabilities", .min = 0, .max = 0.99});
}

void picture_fields(FieldVisitor& v, Config& c) {
  v.field("image_size", c.image_size,
          {.doc = "pixels of a side of the square that the table of positions is for; the shorter "
                  "side of pictures",
           .min = 1,
           .max = 4096});
  v.field("patch_size", c.patch_size, {.doc = "pixels of a patch's side", .min = 1, .max = 4096});
  v.field("most_patches", c.most_patches,
          {.doc = "patches that are kept of a picture, drawn at random; -1: all",
           .min = -1,
           .max = 1'000'000});
  v.field("modalities", c.modalities,
          {.doc = "rows of the modality table: text, picture, second picture, ...",
           .min = 2,
           .max = widest});
}

void text_fields(FieldVisitor& v, TextConfig& c) {
  v.field("context_length", c.context_length,
          {.doc = "most tokens of a text, marks included", .min = 3, .max = 65536});
  v.field("vocab_size", c.vocab_size,
          {.doc = "tokens; 0: the tokenizer's", .min = 0, .max = 10'000'000});
  v.field("pad_id", c.pad_id, {.doc = "-1: the tokenizer's", .min = -1, .max = 10'000'000});
  v.field("unlearned", c.unlearned,
          {.doc = "the word whose row gets no gradient by being read; -1: none",
           .min = -1,
           .max = 10'000'000});
  v.field(
      "types", c.types,
      {.doc = "rows of BERT's own type table, of which row 0 is used", .min = 1, .max = widest});
  v.field("layer_norm_eps", c.layer_norm_eps,
          {.doc = "added to the variance, in the text embedding and the MLM head",
           .min = 0,
           .max = 1,
           .above_min = true});
  v.block("masking", {.doc = "which tokens masked language modelling hides"},
          [&](FieldVisitor& inner) {
            auto& m = c.masking;
            inner.field("share", m.share,
                        {.doc = "of the words that may be hidden", .min = 0, .max = 1});
            inner.field("as_mask", m.as_mask,
                        {.doc = "of the hidden ones: shown as [MASK]", .min = 0, .max = 1});
            inner.field("as_random", m.as_random,
                        {.doc = "of the hidden ones: shown as any word", .min = 0, .max = 1});
            inner.field("whole_words", m.whole_words,
                        {.doc = "pieces that begin with ## go with their word"});
          });
}

void image_fields(FieldVisitor& v, PictureConfig& c) {
  v.field("size", c.size,
          {.doc = "pixels of the shorter side; 0: image_size", .min = 0, .max = 4096});
  v.field(
      "multiple", c.multiple,
      {.doc = "both sides are cut to a multiple of this; 0: patch_size", .min = 0, .max = 4096});
  v.field(
      "interpolation", c.interpolation,
      {.doc = "how pictures are resized, always antialiased", .choices = {"bicubic", "bilinear"}});
  v.field("orientation", c.orientation,
          {.doc = "exif: pictures are turned upright as their EXIF says; stored: left as they are",
           .choices = {"exif", "stored"}});
  v.field("mean", c.mean, {.doc = "subtracted per channel, of pixels in [0, 1]"});
  v.field("std", c.std, {.doc = "divided by per channel"});
  if (c.mean.size() != 3) v.problem("mean", "expected 3 numbers");
  bool good = c.std.size() == 3;
  for (const double s : c.std) good = good && s > 0;
  if (!good) v.problem("std", "expected 3 numbers above 0");
}

}  // namespace

PictureConfig::PictureConfig() {
  size = 0;
  mean = {0.5, 0.5, 0.5};
  std = {0.5, 0.5, 0.5};
}

bool Config::has(const std::string& part) const {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

std::int64_t Config::classes() const {
  if (labels > 0) return labels;
  return has("vqa") ? 3129 : 2;
}

void fit_answers(Settings& settings, const std::vector<std::string>& answers) {
  auto& config = dynamic_cast<Config&>(settings);
  if (!config.has("vqa")) return;
  fit_labels(config.labels, answers);
  config.answers = answers;
}

Problems problems(const Config& c) {
  Problems found;
  check_heads(found, "heads", c.width, c.heads);
  if (nn::activation_of(c.activation) == nullptr) {
    found.emplace_back(
        "activation",
        "expected gelu, quick_gelu, gelu_new, relu, silu or tanh; got " + c.activation);
  }
  if (c.patch_size > c.image_size) found.emplace_back("patch_size", "expected at most image_size");
  if (c.most_patches == 0) found.emplace_back("most_patches", "expected 1 or more, or -1");
  if (c.text.vocab_size > 0 && c.text.pad_id >= c.text.vocab_size) {
    found.emplace_back("text.pad_id", "expected an id below vocab_size");
  }
  const std::vector<std::string> known{"mlm", "itm", "vqa", "nlvr2", "tokens", "rank"};
  int classifiers = 0;
  for (const std::string& part : c.parts) {
    if (std::find(known.begin(), known.end(), part) == known.end()) {
      found.emplace_back("parts", "expected mlm, itm, vqa, nlvr2, tokens or rank; got " + part);
    }
    classifiers += part == "vqa" || part == "nlvr2" || part == "tokens" ? 1 : 0;
  }
  if (classifiers > 1) {
    found.emplace_back("parts",
                       "expected at most one of vqa, nlvr2 and tokens: all three are "
                       "called `classifier` in files");
  }
  if (c.has("nlvr2") && c.modalities < c.pictures + 1) {
    found.emplace_back("modalities", "expected a row for the text and one for each picture");
  }
  return found;
}

void Config::fields(FieldVisitor& v) {
  transformer_fields(v, *this);
  picture_fields(v, *this);
  v.field("parts", parts,
          {.doc = "what stands on top: mlm, itm; one of vqa, nlvr2 and tokens; rank"});
  v.field(
      "tied", tied,
      {.doc = "MLM's decoder is the table of words, as in transformers; the original's is not"});
  v.field("labels", labels,
          {.doc = "answers or classes; 0: those of the data's closed list",
           .min = 0,
           .max = 10'000'000});
  v.field("others", others,
          {.doc = "rank: a picture's text is told from so many texts of other pictures",
           .min = 1,
           .max = 65536});
  v.field(
      "others_of", others_of,
      {.doc = "rank: what these are drawn of: the picture's whole source, as in the original, or "
              "the micro-batch, which has so many of them at most",
       .choices = {"source", "micro_batch"}});
  v.field("pictures", pictures, {.doc = "pictures of an nlvr2 example", .min = 1, .max = 64});
  v.block("text", {.doc = "words and their embedding"},
          [&](FieldVisitor& inner) { text_fields(inner, text); });
  v.block("image", {.doc = "how pictures are made to fit"},
          [&](FieldVisitor& inner) { image_fields(inner, image); });
  v.block("augment", {.doc = "the view in training"}, [&](FieldVisitor& inner) {
    inner.field("flip", augment.flip,
                {.doc = "probability of a mirrored picture", .min = 0, .max = 1});
    inner.optional_block(
        "rand_augment", augment.use_rand_augment,
        {.doc = "random operations of one strength", .aliases = {"randaugment", "aa"}},
        [&](FieldVisitor& more) { vision::fields(more, augment.rand_augment); });
  });
  for (const auto& [field, text] : problems(*this)) v.problem(field, text);
}

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& text = dynamic_cast<Config&>(settings).text;
  if (text.vocab_size == 0) text.vocab_size = tokenizer.vocab_size();
  if (text.pad_id < 0) text.pad_id = tokenizer.id_of("[PAD]").value_or(-1);
  if (text.pad_id < 0) {
    throw Error(ErrorKind::config, "[models] expected a tokenizer with [PAD]", "",
                "a BERT tokenizer has one; or set model.text.pad_id");
  }
  expect_rows(text.vocab_size, tokenizer, "model.text.vocab_size");
}

}  // namespace tandem::models::vilt
