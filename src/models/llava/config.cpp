#include "models/llava/config.h"

#include <algorithm>

#include "models/limits.h"
#include "tandem/text/chat.h"

namespace tandem::models::llava {
namespace {

constexpr const char* picture_token = "<image>";
constexpr const char* pad_token = "<pad>";

void eva_fields(FieldVisitor& v, EvaConfig& c) {
  v.field("activation", c.activation,
          {.doc = "instead of the tower's", .choices = {"gelu", "quick_gelu"}});
  v.field("layer_norm_eps", c.layer_norm_eps,
          {.doc = "instead of the tower's", .min = 0, .max = 1, .above_min = true});
  v.field("qkv_bias", c.qkv_bias, {.doc = "biases of queries, keys and values"});
}

void resampler_fields(FieldVisitor& v, ResamplerConfig& c) {
  v.field("grid", c.grid,
          {.doc = "queries a side of their square; a picture is grid x grid tokens",
           .min = 1,
           .max = 256});
  v.field(
      "heads", c.heads,
      {.doc = "attention heads; 0: one for each 128 numbers of a word", .min = 0, .max = widest});
}

void qformer_fields(FieldVisitor& v, QFormerConfig& c) {
  v.field("queries", c.queries,
          {.doc = "learned query tokens; a picture is as many tokens", .min = 1, .max = 65536});
  v.field("width", c.width, {.doc = "numbers per query", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("mlp", c.mlp,
          {.doc = "hidden width of the MLP; 0: 4 x width", .min = 0, .max = 16 * widest});
  v.field("cross_every", c.cross_every,
          {.doc = "every so many layers look at the picture", .min = 1, .max = deepest});
}

void connector_fields(FieldVisitor& v, ConnectorConfig& c) {
  v.field("kind", c.kind,
          {.doc = "linear as in LLaVA, mlp as in LLaVA-1.5; resampler (Qwen-VL's layer) or qformer "
                  "(BLIP-2's) for a fixed number of tokens",
           .choices = {"linear", "mlp", "resampler", "qformer"}});
  v.field("layers", c.layers, {.doc = "of the MLP", .min = 1, .max = 16});
  v.field("activation", c.activation,
          {.doc = "between the MLP's layers",
           .choices = {"gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu",
                       "tanh", "linear"}});
  v.field("bias", c.bias, {.doc = "of its layers"});
  v.block("resampler", {.doc = "of that kind"},
          [&](FieldVisitor& inner) { resampler_fields(inner, c.resampler); });
  v.block("qformer", {.doc = "of that kind"},
          [&](FieldVisitor& inner) { qformer_fields(inner, c.qformer); });
}

}  // namespace

std::vector<std::int64_t> Config::blocks() const {
  std::vector<std::int64_t> blocks;
  for (const std::int64_t layer : feature_layers) {
    blocks.push_back(layer < 0 ? vision.layers + 1 + layer : layer);
  }
  return blocks;
}

std::int64_t Config::picture_tokens() const { return rows_behind(connector, rows_seen()); }

std::int64_t ResamplerConfig::heads_for(std::int64_t width) const {
  return heads > 0 ? heads : std::max<std::int64_t>(width / 128, 1);
}

Problems problems(const Config& c) {
  Problems found;
  check_vision(found, c.vision);
  check_language(found, "language", c.language);
  if (c.feature_layers.empty()) found.emplace_back("feature_layers", "expected a layer");
  for (const std::int64_t block : c.blocks()) {
    if (block >= 0 && block <= c.vision.layers) continue;
    found.emplace_back("feature_layers", "expected numbers from -" +
                                             std::to_string(c.vision.layers + 1) + " to " +
                                             std::to_string(c.vision.layers));
    break;
  }
  check_connector(found, c);
  return found;
}

void Config::fields(FieldVisitor& v) {
  v.block("vision", {.doc = "the tower of pictures"}, [&](FieldVisitor& inner) {
    inner.field("kind", vision.kind,
                {.doc = "clip, or eva: the tower of BLIP-2 (no norm in front, queries, keys and "
                        "values in one layer); towers whose pictures have any number of rows do "
                        "not stand here",
                 .choices = {"clip", "eva"}});
    vision_fields(inner, vision);
    inner.block("eva", {.doc = "what only eva has"},
                [&](FieldVisitor& own) { eva_fields(own, vision.eva); });
    inner.field("pretrained", vision_pretrained,
                {.doc = "a folder with the weights of the tower, or of the CLIP or BLIP-2 (in "
                        "Hugging Face's names) that it is of",
                 .unset = 0,
                 .path = true});
  });
  v.field(
      "feature_layers", feature_layers,
      {.doc = "the rows after which block of the tower are seen (-1: the last, -2 as released); "
              "of several, side by side"});
  v.field("class_token", class_token, {.doc = "is the tower's class token seen too?"});
  v.block("connector", {.doc = "from the tower's rows to the language model's"},
          [&](FieldVisitor& inner) { connector_fields(inner, connector); });
  v.block("language", {.doc = "the language model"}, [&](FieldVisitor& inner) {
    language_fields(inner, language);
    inner.field("pretrained", language_pretrained,
                {.doc = "a Hugging Face directory of LLaMA, Qwen2 or OPT, whose sizes and "
                        "weights are taken; name its tokenizer as `model.tokenizer`",
                 .unset = 0,
                 .path = true});
  });
  v.field("image_id", image_id,
          {.doc = "the token in whose places pictures stand; -1: the tokenizer's <image>, or a new "
                  "one",
           .min = -1,
           .max = 10'000'000});
  v.field("picture_marks", picture_marks,
          {.doc = "<im_start> and <im_end> around pictures, as in the first release"});
  const Rule id{.doc = "-1: the tokenizer's, or a new one", .min = -1, .max = 10'000'000};
  v.field("start_id", start_id, id);
  v.field("end_id", end_id, id);
  v.field("chat", chat,
          {.doc = "how dialogues are written down: plain for the first stage, v1 (LLaVA-1.5), v0, "
                  "llama_2, mpt",
           .choices = text::chat_templates(),
           .aliases = {"template", "conv_mode"}});
  v.field("system", system, {.doc = "what stands before a dialogue; empty: the template's"});
  v.field("max_tokens", max_tokens,
          {.doc = "most tokens of a dialogue, pictures' included",
           .min = 1,
           .max = 100'000'000,
           .aliases = {"cutoff_len", "model_max_length"}});
  v.field("aspect", aspect,
          {.doc = "pictures are padded to a square (LLaVA-1.5's second stage) or cut to one",
           .choices = {"pad", "crop"}});
  v.block("preference", {.doc = "the loss dpo"},
          [&](FieldVisitor& inner) { models::fields(inner, preference); });
  v.block("image", {.doc = "how pictures are made to fit"},
          [&](FieldVisitor& inner) { vision::fields(inner, image); });
  for (const auto& [field, what] : problems(*this)) v.problem(field, what);
}

vision::ImageSettings Config::image_settings() const { return sized(image, vision.image_size); }

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& c = dynamic_cast<Config&>(settings);
  read_language_sizes(c.language, c.language_pretrained);
  const std::int64_t rows = c.language_pretrained.empty() ? 0 : c.language.vocab_size;
  if (rows > 0) c.language.vocab_size = 0;  // the marks may need more
  std::vector<std::string> names;
  std::vector<std::int64_t*> ids;
  const auto want = [&](std::int64_t& id, const char* name) {
    if (id >= 0) return;
    names.emplace_back(name);
    ids.push_back(&id);
  };
  want(c.image_id, picture_token);
  // LLaMA's tokenizers have no padding of their own; the unknown word serves, as in the original.
  if (c.language.pad_id < 0) {
    for (const char* name : {pad_token, "<unk>", "[PAD]"}) {
      const auto found = tokenizer.id_of(name);
      if (found && c.language.pad_id < 0) c.language.pad_id = *found;
    }
  }
  want(c.language.pad_id, pad_token);
  if (c.picture_marks) {
    want(c.start_id, "<im_start>");
    want(c.end_id, "<im_end>");
  }
  const auto found = fit_language(c.language, tokenizer, names);
  for (std::size_t i = 0; i < ids.size(); ++i) *ids[i] = found[i];
  c.language.vocab_size = std::max(c.language.vocab_size, rows);
}

}  // namespace tandem::models::llava
