#include "models/blip2/config.h"

#include <array>
#include <cmath>
#include <filesystem>

#include "models/limits.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"

namespace tandem::models::blip2 {
namespace {

constexpr double most_words = 10'000'000;

// (name in YAML, class in files), in the order of Kind.
const std::array<std::pair<std::string, std::string>, 4>& kinds() {
  static const std::array<std::pair<std::string, std::string>, 4> table{
      {{"pretrain", "Blip2Qformer"},
       {"generation", "Blip2ForConditionalGeneration"},
       {"retrieval", "Blip2ForImageTextRetrieval"},
       {"model", "Blip2Model"}}};
  return table;
}

const std::vector<std::string>& activations() {
  static const std::vector<std::string> names{"gelu", "quick_gelu", "gelu_new", "relu", "silu"};
  return names;
}

void bert_fields(FieldVisitor& v, BertTower& t) {
  tower_fields(v, t, {.doc = "attention heads", .min = 1, .max = widest},
               {.doc = "as released: gelu", .choices = activations()});
}

void vision_fields(FieldVisitor& v, VisionConfig& c) {
  v.field("image_size", c.image_size, {.doc = "pixels of a side", .min = 1, .max = 4096});
  v.field("patch_size", c.patch_size, {.doc = "pixels of a patch's side", .min = 1, .max = 4096});
  v.field("drop_path", c.drop_path,
          {.doc = "share of samples whose last block is left out; rises from 0 over the depth",
           .min = 0,
           .max = 0.9});
  v.field("last_norm_eps", c.last_norm_eps,
          {.doc = "of the norm behind the tower; 0: layer_norm_eps", .min = 0, .max = 1});
  v.field("qkv_bias", c.qkv_bias, {.doc = "biases of queries, keys and values"});
  v.field("clip", c.clip, {.doc = "a tower of CLIP's: a norm in front, patches without bias"});
  v.field("pretrained", c.pretrained,
          {.doc = "a folder with the tower's weights (of this family, CLIP or the original)",
           .unset = 0,
           .path = true});
  bert_fields(v, c);
}

void qformer_fields(FieldVisitor& v, QFormerConfig& c) {
  v.field("queries", c.queries, {.doc = "learned query tokens", .min = 1, .max = 65536});
  v.field("cross_every", c.cross_every,
          {.doc = "every so many layers look at the picture", .min = 1, .max = deepest});
  v.field("text", c.text, {.doc = "with words and the second feed-forward part (retrieval)"});
  v.field("context_length", c.context_length,
          {.doc = "most tokens of a text, marks included",
           .min = 3,
           .max = 65536,
           .aliases = {"max_txt_len"}});
  v.field("positions", c.positions, {.doc = "rows of positions", .min = 3, .max = 65536});
  v.field("vocab_size", c.vocab_size,
          {.doc = "rows of the table of words; 0: the tokenizer's and the marks'",
           .min = 0,
           .max = most_words});
  const Rule id{.doc = "-1: the tokenizer's", .min = -1, .max = most_words};
  v.field("cls_id", c.cls_id, id);
  v.field("bos_id", c.bos_id, id);
  v.field("sep_id", c.sep_id, id);
  v.field("pad_id", c.pad_id, id);
  v.field("dropout", c.dropout, {.doc = "of rows", .min = 0, .max = 0.9});
  v.field("attention_dropout", c.attention_dropout,
          {.doc = "of attention's probabilities", .min = 0, .max = 0.9});
  bert_fields(v, c);
}

void opt_fields(FieldVisitor& v, LanguageConfig& c) {
  v.field("positions", c.positions, {.doc = "of opt", .min = 3, .max = 1 << 20});
  v.field("word_width", c.word_width,
          {.doc = "of opt's table of words; 0: width", .min = 0, .max = widest});
  v.field("norm_before", c.norm_before, {.doc = "opt: norms stand before each part"});
  v.field("last_norm", c.last_norm, {.doc = "opt: a norm behind the last layer"});
  v.field("bias", c.bias, {.doc = "opt: biases of linear layers"});
  v.field("norm_weights", c.norm_weights, {.doc = "opt: norms have weights"});
  v.field("attention_dropout", c.attention_dropout,
          {.doc = "opt: of attention's probabilities", .min = 0, .max = 0.9});
}

void t5_fields(FieldVisitor& v, LanguageConfig& c) {
  v.field("head_width", c.head_width, {.doc = "of t5", .min = 1, .max = widest});
  v.field("decoder_layers", c.decoder_layers,
          {.doc = "of t5; 0: layers", .min = 0, .max = deepest});
  v.field("buckets", c.buckets,
          {.doc = "t5: rows of the table of distances", .min = 4, .max = 4096});
  v.field("max_distance", c.max_distance,
          {.doc = "t5: distances beyond it are one", .min = 3, .max = 1 << 20});
  v.field("gated", c.gated, {.doc = "t5: gated MLP"});
  v.field("scaled", c.scaled, {.doc = "t5: rows are divided by sqrt(width) before the head"});
  v.field("eps", c.eps, {.doc = "t5: added to the mean square", .min = 0, .max = 1});
}

void language_fields(FieldVisitor& v, LanguageConfig& c) {
  v.field("kind", c.kind,
          {.doc = "decoder alone, or encoder and decoder", .choices = {"opt", "t5"}});
  v.field("pretrained", c.pretrained,
          {.doc = "a Hugging Face directory of OPT or T5, whose sizes and weights are taken",
           .unset = 0,
           .path = true});
  v.field("width", c.width, {.doc = "numbers per token", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks (t5: of the encoder)", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("mlp", c.mlp,
          {.doc = "hidden width of the MLP; 0: 4 x width", .min = 0, .max = 16 * widest});
  std::vector<std::string> choices = activations();
  choices.emplace_back();
  v.field("activation", c.activation,
          {.doc = "empty: relu of opt, gelu of t5 (as released)", .choices = choices});
  v.field("dropout", c.dropout, {.doc = "of rows", .min = 0, .max = 0.9});
  v.field("context_length", c.context_length,
          {.doc = "most tokens of a text, marks included",
           .min = 3,
           .max = 65536,
           .aliases = {"max_txt_len"}});
  v.field("vocab_size", c.vocab_size,
          {.doc = "rows of the table of words; 0: the tokenizer's", .min = 0, .max = most_words});
  const Rule id{.doc = "-1: the tokenizer's", .min = -1, .max = most_words};
  v.field("bos_id", c.bos_id, id);
  v.field("eos_id", c.eos_id, id);
  v.field("pad_id", c.pad_id, id);
  v.field("start_id", c.start_id, {.doc = "t5: -1: pad", .min = -1, .max = most_words});
  v.field(
      "image_id", c.image_id,
      {.doc = "the word in whose place a query goes; -1: in front", .min = -1, .max = most_words});
  v.field("tied", c.tied, {.doc = "the head is the table of words"});
  opt_fields(v, c);
  t5_fields(v, c);
}

void check_language(Problems& found, const LanguageConfig& c) {
  if (!c.is_t5()) check_heads(found, "language.heads", c.width, c.heads);
  check_ids(
      found, "language.", c.vocab_size,
      {{"bos_id", c.bos_id}, {"eos_id", c.eos_id}, {"pad_id", c.pad_id}, {"start_id", c.start_id}});
  for (const std::int64_t id : c.more_ends) {
    check_ids(found, "language.", c.vocab_size, {{"eos_id", id}});
  }
}

}  // namespace

const std::string& class_of(Kind kind) { return kinds()[static_cast<std::size_t>(kind)].second; }

Kind Config::the_kind() const {
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (kinds()[i].first == kind) return static_cast<Kind>(i);
  }
  throw Error(ErrorKind::config, "[models] expected a kind of blip2; got " + kind, "model.kind");
}

bool Config::writes() const { return kind == "generation" || kind == "model"; }

nn::VitShape VisionConfig::shape() const {
  nn::VitShape s;
  s.block = {width, heads, hidden(), layer_norm_eps, nn::activation_of(activation)};
  s.layers = layers;
  s.image_size = image_size;
  s.patch_size = patch_size;
  s.drop_path = drop_path;
  s.norm_eps = last_norm_eps;
  s.qkv_bias = qkv_bias;
  s.patch_bias = !clip;
  s.first_norm = clip;
  return s;
}

std::vector<std::int64_t> LanguageConfig::ends() const {
  if (eos_id < 0) return {};
  std::vector<std::int64_t> all{eos_id};
  all.insert(all.end(), more_ends.begin(), more_ends.end());
  return all;
}

nn::OptShape LanguageConfig::opt() const {
  nn::OptShape s;
  s.width = width;
  s.layers = layers;
  s.heads = heads;
  s.hidden = hidden();
  s.vocab_size = vocab_size;
  s.positions = positions;
  s.word_width = word_width;
  s.pad_id = pad_id;
  s.activation = nn::activation_of(activation.empty() ? "relu" : activation);
  s.norm_before = norm_before;
  s.last_norm = last_norm;
  s.bias = bias;
  s.norm_weights = norm_weights;
  s.tied = tied;
  s.dropout = dropout;
  s.attention_dropout = attention_dropout;
  return s;
}

nn::T5Shape LanguageConfig::t5() const {
  nn::T5Shape s;
  s.width = width;
  s.head_width = head_width;
  s.heads = heads;
  s.hidden = hidden();
  s.layers = layers;
  s.decoder_layers = decoder_layers > 0 ? decoder_layers : layers;
  s.vocab_size = vocab_size;
  s.buckets = buckets;
  s.max_distance = max_distance;
  s.activation = nn::activation_of(activation.empty() ? "gelu" : activation);
  s.gated = gated;
  s.tied = tied;
  s.scaled = scaled;
  s.eps = eps;
  s.dropout = dropout;
  return s;
}

Problems problems(const Config& c) {
  Problems found;
  check_heads(found, "vision.heads", c.vision.width, c.vision.heads);
  check_heads(found, "qformer.heads", c.qformer.width, c.qformer.heads);
  if (c.vision.patch_size > 0 && c.vision.image_size < c.vision.patch_size) {
    found.emplace_back("vision.patch_size", "expected at most image_size");
  }
  if (c.qformer.context_length > c.qformer.positions) {
    found.emplace_back("qformer.context_length",
                       "expected at most positions, " + std::to_string(c.qformer.positions));
  }
  check_ids(found, "qformer.", c.qformer.vocab_size,
            {{"bos_id", c.qformer.bos_id}, {"sep_id", c.qformer.sep_id}});
  if (c.writes()) check_language(found, c.language);
  if (!c.writes() && !c.qformer.text) {
    found.emplace_back("qformer.text",
                       "expected true, use_qformer_text_input: this kind reads texts");
  }
  return found;
}

void Config::fields(FieldVisitor& v) {
  v.field("kind", kind,
          {.doc = "which of the original's classes: pretrain is the first stage, generation the "
                  "second; the others are for evaluation",
           .choices = {"pretrain", "generation", "retrieval", "model"}});
  v.field("embed_dim", embed_dim, {.doc = "numbers of the common space", .min = 1, .max = widest});
  v.field("temperature", temperature,
          {.doc = "that similarities are divided by at the start", .min = 0.001, .max = 1});
  v.field("label_smoothing", label_smoothing,
          {.doc = "of contrast and words in the first stage; 0.1 in the code",
           .min = 0,
           .max = 1,
           .aliases = {"label_smoothing_factor"}});
  v.field("prompt", prompt,
          {.doc = "words before every caption of the second stage; they are not learned"});
  v.field("question", question, {.doc = "how the second stage is asked; {}: the question"});
  v.block("vision", {.doc = "the encoder of pictures (a vision transformer)"},
          [&](FieldVisitor& inner) { vision_fields(inner, vision); });
  v.block("qformer", {.doc = "the querying transformer"},
          [&](FieldVisitor& inner) { qformer_fields(inner, qformer); });
  v.block("language", {.doc = "the language model of the second stage"},
          [&](FieldVisitor& inner) { language_fields(inner, language); });
  view_fields(v, image, augment);
  v.field(
      "views", views,
      {.doc = "training shows a picture in one of so many views of `augment`, the same in every "
              "epoch (what `cache: features` wants); 0: drawn anew each time",
       .min = 0,
       .max = 1 << 20});
  for (const auto& [field, text_of] : problems(*this)) v.problem(field, text_of);
}

vision::ImageSettings Config::image_settings() const { return sized(image, vision.image_size); }

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

// --- What a tokenizer says ---------------------------------------------------------------------

namespace {

[[noreturn]] void refuse_marks() {
  throw Error(ErrorKind::config, "[models] expected a tokenizer with marks of begin and end", "",
              "[CLS] and [SEP], <|startoftext|> and <|endoftext|>, or <s> and </s>");
}

// How many rows a class needs that writes nothing: transformers' processor has a word for the
// picture behind all others, which the class cuts off before it looks words up.
std::int64_t words_read(const text::Tokenizer& tokenizer) {
  const std::int64_t all = tokenizer.vocab_size();
  return tokenizer.id_of("<image>").value_or(-1) == all - 1 ? all - 1 : all;
}

void fit_qformer(QFormerConfig& q, const text::Tokenizer& tokenizer, bool writes) {
  MarkRows marks(tokenizer);
  if (q.cls_id < 0) q.cls_id = first_token(tokenizer, {"[CLS]", "<|startoftext|>"});
  if (q.sep_id < 0) q.sep_id = first_token(tokenizer, {"[SEP]", "<|endoftext|>"});
  if (q.cls_id < 0 || q.sep_id < 0) refuse_marks();
  if (!writes && q.vocab_size > 0) {  // rows that a file has: none need be [DEC]'s
    if (q.pad_id < 0) q.pad_id = first_token(tokenizer, {"[PAD]"});
    fit_rows(q.vocab_size, words_read(tokenizer), "model.qformer.vocab_size");
    return;
  }
  marks.take(q.bos_id, {"[DEC]"});
  marks.take(q.pad_id, {"[PAD]"});  // must differ from the end mark, which is learned
  fit_rows(q.vocab_size, marks.count(), "model.qformer.vocab_size");
}

void fit_language(LanguageConfig& c, const text::Tokenizer& tokenizer) {
  std::int64_t next = tokenizer.vocab_size();
  if (c.bos_id < 0) c.bos_id = first_token(tokenizer, {"[CLS]", "<|startoftext|>", "</s>"});
  // OPT's captions end with a line's end, the byte-level token of which is this.
  const char* line_end = "\xC4\x8A";
  const bool opt = tokenizer.id_of(line_end) && tokenizer.id_of("</s>");
  if (c.eos_id < 0) {
    c.eos_id = opt && !c.is_t5() ? first_token(tokenizer, {line_end})
                                 : first_token(tokenizer, {"[SEP]", "<|endoftext|>", "</s>"});
  }
  if (c.eos_id < 0) refuse_marks();
  if (c.pad_id < 0) c.pad_id = first_token(tokenizer, {"[PAD]", "<pad>"});
  if (c.pad_id < 0) c.pad_id = next++;
  if (c.start_id < 0) c.start_id = c.pad_id;
  // transformers wants a word in whose place the queries go: a row that no token has.
  if (c.image_id < 0) c.image_id = first_token(tokenizer, {"<image>"});
  if (c.image_id < 0 && (c.vocab_size == 0 || next < c.vocab_size)) c.image_id = next++;
  fit_rows(c.vocab_size, next, "model.language.vocab_size");
}

}  // namespace

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& config = dynamic_cast<Config&>(settings);
  if (!config.writes()) {
    fit_qformer(config.qformer, tokenizer, config.the_kind() == Kind::pretrain);
    return;
  }
  LanguageConfig& language = config.language;
  // A plan is made without it, from the sizes that the settings name.
  const std::filesystem::path file = std::filesystem::path(language.pretrained) / "config.json";
  std::error_code error;
  if (!language.pretrained.empty() && std::filesystem::is_regular_file(file, error)) {
    read_language_json(language, read_file(file, std::int64_t{1} << 24));
  }
  fit_language(language, tokenizer);
}

}  // namespace tandem::models::blip2
