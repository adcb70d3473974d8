#include "models/clip/config.h"

#include <cmath>

#include "models/limits.h"
#include "tandem/base/error.h"

namespace tandem::models::clip {
namespace {

void text_fields(FieldVisitor& v, TextConfig& c) {
  v.field("context_length", c.context_length,
          {.doc = "most tokens of a text, marks included", .min = 3, .max = 65536});
  v.field("vocab_size", c.vocab_size,
          {.doc = "tokens; 0: the tokenizer's", .min = 0, .max = 10'000'000});
  const Rule id{.doc = "-1: the tokenizer's", .min = -1, .max = 10'000'000};
  v.field("bos_id", c.bos_id, id);
  v.field("eos_id", c.eos_id, id);
  v.field("pad_id", c.pad_id, id);
  v.field("pooling", c.pooling,
          {.doc = "the token whose row is the text's feature: the first end mark, or the largest "
                  "id as in the original code",
           .choices = {"first_eos", "argmax"}});
  tower_fields(v, c);
}

}  // namespace

Problems problems(const Config& c) {
  Problems found;
  check_vision(found, c.vision);
  check_heads(found, "text.heads", c.text.width, c.text.heads);
  if (c.text.vocab_size > 0 && c.text.eos_id >= c.text.vocab_size) {
    found.emplace_back("text.eos_id", "expected an id below vocab_size");
  }
  if (c.text.pooling == "first_eos" && c.text.eos_id == 2) {
    found.emplace_back("text.eos_id",
                       "2 means `pooling: argmax` in config.json; choose that, or another id");
  }
  return found;
}

void Config::fields(FieldVisitor& v) {
  v.field("embed_dim", embed_dim, {.doc = "numbers of the common space", .min = 1, .max = widest});
  v.field("logit_scale_init", logit_scale_init,
          {.doc = "log of the inverse temperature at the start", .min = 0, .max = std::log(100.0)});
  v.block("vision", {.doc = "the tower of pictures (a vision transformer)"},
          [&](FieldVisitor& inner) { vision_fields(inner, vision); });
  v.block("text", {.doc = "the tower of texts (a causal transformer)"},
          [&](FieldVisitor& inner) { text_fields(inner, text); });
  view_fields(v, image, augment);
  for (const auto& [field, text] : problems(*this)) v.problem(field, text);
}

vision::ImageSettings Config::image_settings() const { return sized(image, vision.image_size); }

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& text = dynamic_cast<Config&>(settings).text;
  if (text.vocab_size == 0) text.vocab_size = tokenizer.vocab_size();
  if (text.bos_id < 0)
    text.bos_id = first_token(tokenizer, {"<|startoftext|>", "[CLS]", "<|endoftext|>"});
  if (text.eos_id < 0) text.eos_id = first_token(tokenizer, {"<|endoftext|>", "[SEP]"});
  // The original pads with 0; any id will do, as nothing that a text is pooled at sees it. The end
  // mark is what Hugging Face's tokenizer pads with.
  if (text.pad_id < 0) text.pad_id = text.eos_id;
  if (text.eos_id < 0) {
    throw Error(ErrorKind::config, "[models] expected a tokenizer with an end mark", "",
                "<|endoftext|> or [SEP]; or set model.text.eos_id");
  }
  expect_rows(text.vocab_size, tokenizer, "model.text.vocab_size");
}

}  // namespace tandem::models::clip
