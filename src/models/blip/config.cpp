#include "models/blip/config.h"

#include <array>
#include <cmath>

#include "models/limits.h"
#include "tandem/base/error.h"

namespace tandem::models::blip {
namespace {

// (name in YAML, class in files), in the order of Kind.
const std::array<std::pair<std::string, std::string>, 7>& kinds() {
  static const std::array<std::pair<std::string, std::string>, 7> table{
      {{"pretrain", "BLIP_Pretrain"},
       {"captioning", "BlipForConditionalGeneration"},
       {"answering", "BlipForQuestionAnswering"},
       {"retrieval", "BlipForImageTextRetrieval"},
       {"contrast", "BlipModel"},
       {"reasoning", "BLIP_NLVR"},
       {"matching", "BLIP_Retrieval"}}};
  return table;
}

void bert_fields(FieldVisitor& v, BertTower& t) {
  tower_fields(v, t, {.doc = "attention heads", .min = 1, .max = widest},
               {.doc = "as released: gelu", .choices = {"gelu", "quick_gelu", "gelu_new", "relu"}});
}

void vision_fields(FieldVisitor& v, VisionConfig& c) {
  v.field("image_size", c.image_size, {.doc = "pixels of a side", .min = 1, .max = 4096});
  v.field("patch_size", c.patch_size, {.doc = "pixels of a patch's side", .min = 1, .max = 4096});
  v.field("drop_path", c.drop_path,
          {.doc = "share of samples whose last block is left out; rises from 0 over the depth",
           .min = 0,
           .max = 0.9});
  bert_fields(v, c);
}

void text_fields(FieldVisitor& v, TextConfig& c) {
  v.field("context_length", c.context_length,
          {.doc = "most tokens of a text, marks included",
           .min = 3,
           .max = 65536,
           .aliases = {"max_txt_len"}});
  v.field("positions", c.positions, {.doc = "rows of positions", .min = 3, .max = 65536});
  v.field("vocab_size", c.vocab_size,
          {.doc = "rows of the table of words; 0: the tokenizer's and the marks'",
           .min = 0,
           .max = 10'000'000});
  const Rule id{.doc = "-1: the tokenizer's", .min = -1, .max = 10'000'000};
  v.field("cls_id", c.cls_id, id);
  v.field("enc_id", c.enc_id, id);
  v.field("bos_id", c.bos_id, id);
  v.field("sep_id", c.sep_id, id);
  v.field("pad_id", c.pad_id, id);
  v.field("dropout", c.dropout, {.doc = "of rows", .min = 0, .max = 0.9});
  v.field("attention_dropout", c.attention_dropout,
          {.doc = "of attention's probabilities", .min = 0, .max = 0.9});
  v.field("label_smoothing", c.label_smoothing,
          {.doc = "of the decoder's loss; 0.1 is fixed in the released code",
           .min = 0,
           .max = 1,
           .aliases = {"label_smoothing_factor"}});
  v.field("clean", c.clean,
          {.doc = "captions and questions in lower case, with spaces for . ! \" ( ) * # : ; ~, and "
                  "cut at `words`, as the released code has them"});
  v.field("words", c.words,
          {.doc = "most words of a text; 0: as released, 30, of a sentence about two pictures 40, "
                  "of a question 50",
           .min = 0,
           .max = 65536});
  bert_fields(v, c);
}

void contrast_fields(FieldVisitor& v, Config& c) {
  v.field("temperature", c.temperature,
          {.doc = "that similarities are divided by at the start", .min = 0.001, .max = 0.5});
  v.field("momentum", c.momentum, {.doc = "share of a copy that a step keeps", .min = 0, .max = 1});
  v.field("alpha", c.alpha, {.doc = "share of the soft targets", .min = 0, .max = 1});
  v.field("alpha_ramp", c.alpha_ramp,
          {.doc = "steps over which that share grows from 0 (two epochs in the released code)",
           .min = 0,
           .unit = Unit::steps});
  v.field(
      "itm_negatives", c.itm_negatives,
      {.doc = "of matching: the more alike, the likelier; or drawn evenly among the micro-batch's "
              "other pictures",
       .choices = {"hard", "random"}});
  v.field(
      "queue", c.queue,
      {.doc = "features kept of the last steps; the released code wants a multiple of the batch",
       .min = 1,
       .max = 1 << 24});
}

}  // namespace

const std::string& class_of(Kind kind) { return kinds()[static_cast<std::size_t>(kind)].second; }

Kind Config::the_kind() const {
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (kinds()[i].first == kind) return static_cast<Kind>(i);
  }
  throw Error(ErrorKind::config, "[models] expected a kind of blip; got " + kind, "model.kind");
}

bool Config::copies() const { return kind == "pretrain" || kind == "matching"; }

std::int64_t Config::most_words() const {
  if (text.words > 0) return text.words;
  return kind == "reasoning" ? 40 : kind == "answering" ? 50 : 30;
}

nn::VitShape VisionConfig::shape() const {
  return {.block = {width, heads, hidden(), layer_norm_eps, nn::activation_of(activation)},
          .layers = layers,
          .image_size = image_size,
          .patch_size = patch_size,
          .drop_path = drop_path};
}

nn::BertShape TextConfig::shape(std::int64_t encoder_width) const {
  nn::BertShape s;
  s.width = width;
  s.layers = layers;
  s.heads = heads;
  s.hidden = hidden();
  s.vocab_size = vocab_size;
  s.positions = positions;
  s.types = 0;
  s.eps = layer_norm_eps;
  s.activation = nn::activation_of(activation);
  s.dropout = dropout;
  s.attention_dropout = attention_dropout;
  s.cross_from = cross_attention ? 0 : -1;
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
  if (c.text.context_length > c.text.positions) {
    found.emplace_back("text.context_length",
                       "expected at most positions, " + std::to_string(c.text.positions));
  }
  check_ids(found, "text.", c.text.vocab_size,
            {{"enc_id", c.text.enc_id},
             {"bos_id", c.text.bos_id},
             {"sep_id", c.text.sep_id},
             {"pad_id", c.text.pad_id}});
  return found;
}

void Config::fields(FieldVisitor& v) {
  v.field(
      "kind", kind,
      {.doc = "which of the original's classes: pretrain has everything, captioning the decoder "
              "alone, answering questions, matching fine-tunes retrieval, reasoning is of two "
              "pictures (NLVR2); "
              "retrieval and "
              "contrast, as Hugging Face has them, are for evaluation",
       .choices = {"pretrain", "captioning", "answering", "retrieval", "contrast", "reasoning",
                   "matching"}});
  v.field("embed_dim", embed_dim, {.doc = "numbers of the common space", .min = 1, .max = widest});
  v.field("prompt", prompt, {.doc = "words before every caption; the decoder does not learn them"});
  contrast_fields(v, *this);
  v.field("projection_dim", projection_dim,
          {.doc = "numbers of the common space (contrast)", .min = 1, .max = widest});
  v.field("logit_scale_init", logit_scale_init,
          {.doc = "log of the inverse temperature (contrast)", .min = 0, .max = std::log(100.0)});
  v.block("vision", {.doc = "the encoder of pictures (a vision transformer)"},
          [&](FieldVisitor& inner) { vision_fields(inner, vision); });
  v.block("text", {.doc = "the one text transformer: encoder, grounded encoder and decoder"},
          [&](FieldVisitor& inner) { text_fields(inner, text); });
  view_fields(v, image, augment);
  for (const auto& [field, text_of] : problems(*this)) v.problem(field, text_of);
  if (kind == "answering" && text.width != vision.width) {
    v.problem("text.width", "expected vision.width: the decoder reads the question's rows");
  }
}

vision::ImageSettings Config::image_settings() const { return sized(image, vision.image_size); }

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& text = dynamic_cast<Config&>(settings).text;
  if (text.cls_id < 0) text.cls_id = first_token(tokenizer, {"[CLS]", "<|startoftext|>"});
  if (text.sep_id < 0) text.sep_id = first_token(tokenizer, {"[SEP]", "<|endoftext|>"});
  if (text.cls_id < 0 || text.sep_id < 0) {
    throw Error(ErrorKind::config, "[models] expected a tokenizer with marks of begin and end", "",
                "[CLS] and [SEP], or <|startoftext|> and <|endoftext|>");
  }
  MarkRows marks(tokenizer);
  marks.take(text.bos_id, {"[DEC]"});
  marks.take(text.enc_id, {"[ENC]"});
  // Padding must differ from the end mark, which the decoder learns.
  marks.take(text.pad_id, {"[PAD]"});
  fit_rows(text.vocab_size, marks.count(), "model.text.vocab_size");
}

}  // namespace tandem::models::blip
