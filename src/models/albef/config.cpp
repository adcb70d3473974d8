#include "models/albef/config.h"

#include <array>

#include "models/limits.h"
#include "tandem/base/error.h"

namespace tandem::models::albef {
namespace {

// (name in YAML, class in files), in the order of Kind.
const std::array<std::pair<std::string, std::string>, 6>& kinds() {
  static const std::array<std::pair<std::string, std::string>, 6> table{
      {{"pretrain", "ALBEF"},
       {"retrieval", "model_retrieval.ALBEF"},
       {"entailment", "model_ve.ALBEF"},
       {"assignment", "model_pretrain_nlvr.ALBEF"},
       {"reasoning", "model_nlvr.ALBEF"},
       {"answering", "model_vqa.ALBEF"}}};
  return table;
}

void vision_fields(FieldVisitor& v, VisionConfig& c) {
  v.field("image_size", c.image_size, {.doc = "pixels of a side", .min = 1, .max = 4096});
  v.field("patch_size", c.patch_size, {.doc = "pixels of a patch's side", .min = 1, .max = 4096});
  v.field("width", c.width, {.doc = "numbers per patch", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
}

void text_fields(FieldVisitor& v, TextConfig& c) {
  v.field("width", c.width, {.doc = "numbers per token", .min = 1, .max = widest});
  v.field(
      "layers", c.layers,
      {.doc = "layers of the text and the multimodal encoder together", .min = 1, .max = deepest});
  v.field("fusion_layer", c.fusion_layer,
          {.doc = "layers of the text encoder; those behind it look at the picture",
           .min = 0,
           .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("mlp", c.mlp,
          {.doc = "hidden width of the MLP; 0: 4 x width", .min = 0, .max = 16 * widest});
  v.field("activation", c.activation,
          {.doc = "as released: gelu", .choices = {"gelu", "quick_gelu", "gelu_new", "relu"}});
  v.field("layer_norm_eps", c.layer_norm_eps,
          {.doc = "added to the variance", .min = 0, .max = 1, .above_min = true});
  v.field("dropout", c.dropout, {.doc = "of rows", .min = 0, .max = 0.9});
  v.field("attention_dropout", c.attention_dropout,
          {.doc = "of attention's probabilities", .min = 0, .max = 0.9});
  v.field("positions", c.positions, {.doc = "rows of positions", .min = 2, .max = 65536});
  v.field(
      "types", c.types,
      {.doc = "rows of token types, of which the first is added to all", .min = 1, .max = 1024});
  v.field("vocab_size", c.vocab_size,
          {.doc = "tokens; 0: the tokenizer's", .min = 0, .max = 10'000'000});
  const Rule id{.doc = "-1: the tokenizer's", .min = -1, .max = 10'000'000};
  v.field("cls_id", c.cls_id, id);
  v.field("sep_id", c.sep_id, id);
  v.field("pad_id", c.pad_id, id);
  v.field("context_length", c.context_length,
          {.doc = "most tokens of a text, [CLS] included",
           .min = 2,
           .max = 65536,
           .aliases = {"max_txt_len"}});
  v.field("words", c.words,
          {.doc = "most words of a caption that become tokens", .min = 1, .max = 65536});
  v.field("clean", c.clean,
          {.doc = "captions in lower case without , . ' ! ? \" ( ) * # : ; ~, with spaces for - "
                  "and /, as the original has them"});
}

void objective_fields(FieldVisitor& v, Config& c) {
  v.field("queue", c.queue,
          {.doc = "features kept of the last steps; the original wants a multiple of the batch",
           .min = 1,
           .max = 1 << 24});
  v.field("temperature", c.temperature,
          {.doc = "that similarities are divided by at the start", .min = 0.001, .max = 0.5});
  v.field("momentum", c.momentum, {.doc = "share of a copy that a step keeps", .min = 0, .max = 1});
  v.field(
      "alpha", c.alpha,
      {.doc = "share of the copies' answers in the targets of itc and mlm", .min = 0, .max = 1});
  v.field("alpha_ramp", c.alpha_ramp,
          {.doc = "steps over which that share grows from 0 (the first epoch in the original)",
           .min = 0,
           .unit = Unit::steps});
  v.field(
      "itm_negatives", c.itm_negatives,
      {.doc = "of matching: the more alike, the likelier; or drawn evenly among the micro-batch's "
              "other pictures",
       .choices = {"hard", "random"}});
  v.field("mask_probability", c.mask_probability,
          {.doc = "share of the tokens that mlm hides", .min = 0, .max = 1, .above_min = true});
}

}  // namespace

const std::string& class_of(Kind kind) { return kinds()[static_cast<std::size_t>(kind)].second; }

Kind Config::the_kind() const {
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (kinds()[i].first == kind) return static_cast<Kind>(i);
  }
  throw Error(ErrorKind::config, "[models] expected a kind of the model; got " + kind,
              "model.kind");
}

bool Config::copies() const {
  if (kind == "assignment") return false;
  return distill || kind == "pretrain" || kind == "retrieval";
}

nn::BertShape Config::text_shape() const {
  nn::BertShape s = text.shape(vision.width);
  if (sees_two()) s.layers += s.layers - text.fusion_layer;
  return s;
}

nn::BertShape Config::decoder_shape() const {
  nn::BertShape s = text.shape(vision.width);
  s.layers = decoder_layers;
  s.cross_from = 0;
  return s;
}

nn::VitShape VisionConfig::shape() const {
  nn::VitShape s;
  s.block = {width, heads, 4 * width, 1e-6, nn::erf_gelu};
  s.layers = layers;
  s.image_size = image_size;
  s.patch_size = patch_size;
  return s;
}

nn::BertShape TextConfig::shape(std::int64_t encoder_width) const {
  nn::BertShape s;
  s.width = width;
  s.layers = layers;
  s.heads = heads;
  s.hidden = mlp > 0 ? mlp : 4 * width;
  s.vocab_size = vocab_size;
  s.positions = positions;
  s.types = types;
  s.eps = layer_norm_eps;
  s.activation = nn::activation_of(activation);
  s.dropout = dropout;
  s.attention_dropout = attention_dropout;
  s.cross_from = fusion_layer;
  s.encoder_width = encoder_width;
  s.pad_id = pad_id;
  return s;
}

Problems problems(const Config& c) {
  Problems found;
  check_heads(found, "vision.heads", c.vision.width, c.vision.heads);
  check_heads(found, "text.heads", c.text.width, c.text.heads);
  if (c.vision.patch_size > 0 && c.vision.image_size < c.vision.patch_size) {
    found.emplace_back("vision.patch_size", "expected at most image_size");
  }
  if (c.text.fusion_layer > c.text.layers) {
    found.emplace_back("text.fusion_layer",
                       "expected at most layers, " + std::to_string(c.text.layers));
  }
  if (c.text.context_length > c.text.positions) {
    found.emplace_back("text.context_length",
                       "expected at most positions, " + std::to_string(c.text.positions));
  }
  if (c.kind == "answering" && c.text.width != c.vision.width) {
    found.emplace_back("text.width",
                       "expected vision.width: the decoder reads the question's rows");
  }
  check_ids(found, "text.", c.text.vocab_size,
            {{"cls_id", c.text.cls_id}, {"sep_id", c.text.sep_id}, {"pad_id", c.text.pad_id}});
  return found;
}

void Config::fields(FieldVisitor& v) {
  v.field(
      "kind", kind,
      {.doc = "which of the original's models is trained: entailment is of a picture and a "
              "sentence (VE), assignment of a text to one of two pictures (before NLVR2), "
              "reasoning of two pictures (NLVR2), answering of a question (VQA)",
       .choices = {"pretrain", "retrieval", "entailment", "assignment", "reasoning", "answering"}});
  v.field("distill", distill,
          {.doc = "fine-tuning: targets are partly the momentum copies' answers"});
  v.field("decoder_layers", decoder_layers,
          {.doc = "answering: layers of the decoder, which begin as the text's last ones",
           .min = 1,
           .max = 1024});
  v.field("embed_dim", embed_dim, {.doc = "numbers of the common space", .min = 1, .max = widest});
  objective_fields(v, *this);
  v.block("vision", {.doc = "the image encoder (a vision transformer)"},
          [&](FieldVisitor& inner) { vision_fields(inner, vision); });
  v.block("text", {.doc = "the text encoder and, behind it, the multimodal encoder (one BERT)"},
          [&](FieldVisitor& inner) { text_fields(inner, text); });
  view_fields(v, image, augment);
  for (const auto& [field, what] : problems(*this)) v.problem(field, what);
}

vision::ImageSettings Config::image_settings() const { return sized(image, vision.image_size); }

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

void fit_weights(Settings& settings, const std::map<std::string, at::Tensor>& weights) {
  auto& config = dynamic_cast<Config&>(settings);
  const std::string prefix = "text_decoder.bert.encoder.layer.";
  std::int64_t layers = 0;
  while (weights.contains(prefix + std::to_string(layers) + ".output.dense.weight")) ++layers;
  if (layers > 0) config.decoder_layers = layers;
}

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& text = dynamic_cast<Config&>(settings).text;
  const auto mark = [&](std::int64_t& id, const char* name) {
    if (id >= 0) return;
    const auto found = tokenizer.id_of(name);
    if (!found) {
      throw Error(ErrorKind::config,
                  std::string("[models] expected a tokenizer with ") + name + "; it has none", "",
                  "a BERT tokenizer has it; so has one that model.vocabulary trains");
    }
    id = *found;
  };
  mark(text.cls_id, "[CLS]");
  mark(text.pad_id, "[PAD]");
  if (dynamic_cast<Config&>(settings).the_kind() == Kind::answering) mark(text.sep_id, "[SEP]");
  if (text.vocab_size == 0) text.vocab_size = tokenizer.vocab_size();
  expect_rows(text.vocab_size, tokenizer, "model.text.vocab_size");
}

}  // namespace tandem::models::albef
