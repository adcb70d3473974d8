#include "models/llava/config.h"

#include <algorithm>

#include "tandem/nn/mlp.h"
#include "tandem/text/chat.h"

namespace tandem::models::llava {
namespace {

constexpr const char* picture_token = "<image>";
constexpr const char* pad_token = "<pad>";

void connector_fields(FieldVisitor& v, ConnectorConfig& c) {
  v.field("kind", c.kind,
          {.doc = "linear as in LLaVA, mlp as in LLaVA-1.5", .choices = {"linear", "mlp"}});
  v.field("layers", c.layers, {.doc = "of the MLP", .min = 1, .max = 16});
  v.field("activation", c.activation,
          {.doc = "between the MLP's layers",
           .choices = {"gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu",
                       "tanh", "linear"}});
  v.field("bias", c.bias, {.doc = "of its layers"});
}

}  // namespace

std::vector<std::int64_t> Config::blocks() const {
  std::vector<std::int64_t> blocks;
  for (const std::int64_t layer : feature_layers) {
    blocks.push_back(layer < 0 ? vision.layers + 1 + layer : layer);
  }
  return blocks;
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
  return found;
}

void Config::fields(FieldVisitor& v) {
  v.block("vision", {.doc = "the tower of pictures (CLIP's)"}, [&](FieldVisitor& inner) {
    vision_fields(inner, vision);
    inner.field(
        "pretrained", vision_pretrained,
        {.doc = "a folder with the weights of a CLIP, or of its tower", .unset = 0, .path = true});
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
                {.doc = "a Hugging Face directory of LLaMA or Qwen2, whose sizes and weights "
                        "are taken; name its tokenizer as `model.tokenizer`",
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
