#include "models/qwen_vl/config.h"

#include <cmath>

#include "models/limits.h"
#include "tandem/base/error.h"

namespace tandem::models::qwen_vl {
namespace {

// floor(sqrt(n)), as int(math.sqrt(n)).
std::int64_t root_of(std::int64_t n) {
  return static_cast<std::int64_t>(std::sqrt(static_cast<double>(n)));
}

void vision_fields(FieldVisitor& v, VisionConfig& c) {
  v.field("image_size", c.image_size, {.doc = "pixels of a side", .min = 1, .max = 4096});
  v.field("patch_size", c.patch_size, {.doc = "pixels of a patch's side", .min = 1, .max = 4096});
  v.field("width", c.width, {.doc = "numbers per patch", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks of the tower", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads of the tower", .min = 1, .max = widest});
  v.field("mlp_ratio", c.mlp_ratio,
          {.doc = "hidden width of the MLP over the width; cut to a whole number",
           .min = 0,
           .max = 64,
           .above_min = true});
  v.field("queries", c.queries,
          {.doc = "tokens that stand for a picture, a square number", .min = 1, .max = 65536});
}

void language_fields(FieldVisitor& v, LanguageConfig& c) {
  v.field(
      "width", c.width,
      {.doc = "numbers per token, the resampler's too; a multiple of 4", .min = 4, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("mlp", c.mlp, {.doc = "hidden width of the MLP", .min = 1, .max = 16 * widest});
  v.field("vocab_size", c.vocab_size,
          {.doc = "tokens; 0: the tokenizer's", .min = 0, .max = 10'000'000});
  v.field("seq_length", c.seq_length,
          {.doc = "tokens of a training sequence; in evaluation, lengths beyond it are what "
                  "dynamic_ntk and logn act on",
           .min = 2,
           .max = 1 << 20});
  v.field("positions", c.positions,
          {.doc = "max_position_embeddings of config.json; not used", .min = 1, .max = 1 << 24});
  v.field("rotary_base", c.rotary_base,
          {.doc = "base of the rotary frequencies", .min = 0, .max = 1e12, .above_min = true});
  v.field("rms_norm_eps", c.rms_norm_eps,
          {.doc = "added to the mean square", .min = 0, .max = 1, .above_min = true});
  v.field("bias", c.bias, {.doc = "biases also outside c_attn"});
  v.field("dynamic_ntk", c.dynamic_ntk,
          {.doc = "evaluation beyond seq_length: a larger rotary base"});
  v.field("logn", c.logn, {.doc = "evaluation beyond seq_length: queries grow with log(position)"});
  v.field("tied", c.tied, {.doc = "the head is the table of words"});
  v.field("init_std", c.init_std, {.doc = "spread of the first weights", .min = 0, .max = 1});
}

}  // namespace

std::int64_t VisionConfig::hidden() const {
  return static_cast<std::int64_t>(static_cast<double>(width) * mlp_ratio);
}

std::int64_t VisionConfig::query_grid() const { return root_of(queries); }

std::int64_t Config::picture_tokens() const { return vision.query_grid() * vision.query_grid(); }

Problems problems(const Config& c) {
  Problems found;
  check_heads(found, "vision.heads", c.vision.width, c.vision.heads);
  check_heads(found, "language.heads", c.language.width, c.language.heads);
  if (!found.empty()) return found;
  if (c.vision.image_size < c.vision.patch_size) {
    found.emplace_back("vision.patch_size", "expected at most image_size");
  }
  if (c.vision.hidden() < 1) {
    found.emplace_back("vision.mlp_ratio", "expected a hidden width of 1 or more");
  }
  if (c.language.width % 4 != 0) {
    found.emplace_back("language.width", "expected a multiple of 4: sines of rows and columns");
  } else if (c.language.width % c.resampler_heads() != 0) {
    found.emplace_back("language.width",
                       "expected a multiple of the resampler's heads, width / 128 of them");
  }
  if (c.language.head_dim() < 4 || c.language.head_dim() % 2 != 0) {
    found.emplace_back("language.heads", "expected an even number of numbers a head, 4 or more");
  }
  if (c.language.vocab_size > 0 && c.image_start >= 0 && c.image_pad() >= c.language.vocab_size) {
    found.emplace_back("image_start", "expected three ids below vocab_size");
  }
  return found;
}

void Config::fields(FieldVisitor& v) {
  v.field("image_start", image_start,
          {.doc = "id of <img>; the next two are </img> and <imgpad>. -1: the tokenizer's",
           .min = -1,
           .max = 10'000'000});
  v.field("eos_id", eos_id,
          {.doc = "id of <|endoftext|>; -1: the tokenizer's", .min = -1, .max = 10'000'000});
  v.field("stop_id", stop_id,
          {.doc = "id of <|im_end|>, which ends a reply; -1: the tokenizer's",
           .min = -1,
           .max = 10'000'000});
  v.field(
      "format", format,
      {.doc = "how samples are written: as dialogues (ChatML), or as a text that goes on behind "
              "its pictures and ends in <|endoftext|> (the two stages of pre-training)",
       .choices = {"chat", "continued"}});
  v.field("system", system, {.doc = "of a dialogue, instead of the released one"});
  v.field("max_tokens", max_tokens,
          {.doc = "tokens of a sample, longer ones are cut; 0: language.seq_length",
           .min = 0,
           .max = 1 << 20,
           .aliases = {"cutoff_len", "model_max_length"}});
  v.block("vision", {.doc = "the tower of pictures and the resampler on it"},
          [&](FieldVisitor& inner) { vision_fields(inner, vision); });
  v.block("language", {.doc = "the language model"},
          [&](FieldVisitor& inner) { language_fields(inner, language); });
  v.block("image", {.doc = "how pictures are made to fit; always squeezed into the square"},
          [&](FieldVisitor& inner) { vision::fields(inner, image); });
  for (const auto& [field, text] : problems(*this)) v.problem(field, text);
}

vision::ImageSettings Config::image_settings() const { return sized(image, vision.image_size); }

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& config = dynamic_cast<Config&>(settings);
  const auto id = [&](const char* name) -> std::int64_t {
    return tokenizer.id_of(name).value_or(-1);
  };
  if (config.language.vocab_size == 0) config.language.vocab_size = tokenizer.vocab_size();
  if (config.image_start < 0) config.image_start = id("<img>");
  if (config.eos_id < 0) config.eos_id = id("<|endoftext|>");
  if (config.stop_id < 0) config.stop_id = id("<|im_end|>");
  if (config.image_start < 0 || config.eos_id < 0) {
    throw Error(ErrorKind::config,
                "[models] expected a tokenizer with <img>, </img>, <imgpad> and <|endoftext|>");
  }
  for (const auto& [name, expected] :
       {std::pair{"</img>", config.image_end()}, std::pair{"<imgpad>", config.image_pad()}}) {
    if (id(name) >= 0 && id(name) != expected) {
      throw Error(ErrorKind::config, std::string("[models] expected ") + name +
                                         " right behind <img> in the vocabulary: id " +
                                         std::to_string(expected));
    }
  }
  expect_rows(config.language.vocab_size, tokenizer, "model.language.vocab_size");
}

}  // namespace tandem::models::qwen_vl
