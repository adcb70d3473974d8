#include "models/qwen2_vl/config.h"

#include <algorithm>
#include <numeric>

#include "models/limits.h"
#include "tandem/base/error.h"
#include "tandem/nn/mlp.h"
#include "tandem/text/chat.h"

namespace tandem::models::qwen2_vl {
namespace {

constexpr double most_words = 10'000'000;

void vision_fields(FieldVisitor& v, VisionConfig& c, Version version) {
  v.field("width", c.width, {.doc = "numbers per patch", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("mlp", c.mlp,
          {.doc = "hidden width of the MLP; 0: 4 x width", .min = 0, .max = 16 * widest});
  v.field("activation", c.activation,
          {.doc = "as released: quick_gelu, and silu of the gate in Qwen2.5-VL",
           .choices = {"quick_gelu", "gelu", "gelu_new", "relu", "silu"}});
  v.field("patch_size", c.patch.patch, {.doc = "pixels of a patch's side", .min = 1, .max = 4096});
  v.field("merge", c.patch.merge,
          {.doc = "patches of the side of a cell, which becomes one token", .min = 1, .max = 64});
  v.field("frames", c.patch.frames, {.doc = "frames of a patch", .min = 1, .max = 64});
  v.field("theta", c.theta,
          {.doc = "base of the rotary positions", .min = 0, .max = 1e12, .above_min = true});
  if (version == Version::two) return;
  v.field("window", c.window,
          {.doc = "pixels of the side of a window of attention", .min = 1, .max = 1 << 20});
  v.field("full_attention", c.full_attention,
          {.doc = "blocks, from 0, whose patches see their whole frame"});
}

void text_fields(FieldVisitor& v, TextConfig& c) {
  v.field("width", c.width, {.doc = "numbers per token", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("kv_heads", c.kv_heads, {.doc = "heads of keys and values", .min = 1, .max = widest});
  v.field("mlp", c.mlp, {.doc = "hidden width of the MLP", .min = 1, .max = 16 * widest});
  v.field("vocab_size", c.vocab_size,
          {.doc = "rows of the table of words; 0: the tokenizer's", .min = 0, .max = most_words});
  v.field("context_length", c.context_length,
          {.doc = "most tokens of a sample, pictures included; longer ones are bad samples",
           .min = 8,
           .max = 1 << 24,
           .aliases = {"cutoff_len", "model_max_length"}});
  v.field("activation", c.activation,
          {.doc = "of the gate", .choices = {"silu", "gelu", "gelu_new", "relu", "quick_gelu"}});
  v.field("rms_norm_eps", c.rms_norm_eps,
          {.doc = "added to the mean square", .min = 0, .max = 1, .above_min = true});
  v.field("theta", c.theta,
          {.doc = "base of the rotary positions", .min = 0, .max = 1e12, .above_min = true});
  v.field("sections", c.sections,
          {.doc = "frequencies that turn with time, height and width: half a head together"});
  sliding_fields(v, c.sliding);
  v.field("tied", c.tied, {.doc = "the output matrix is the table of words"});
}

void mark_fields(FieldVisitor& v, Marks& marks) {
  const Rule id{.doc = "-1: the tokenizer's", .min = -1, .max = most_words};
  v.field("image", marks.image, id);
  v.field("video", marks.video, id);
  v.field("vision_start", marks.vision_start, id);
  v.field("vision_end", marks.vision_end, id);
  v.field("end", marks.end, id);
  v.field("pad", marks.pad, id);
}

void dialogue_fields(FieldVisitor& v, DialogueConfig& c) {
  v.field(
      "chat", c.chat,
      {.doc = "template of dialogues", .choices = text::chat_templates(), .aliases = {"template"}});
  v.field("system", c.system, {.doc = "what stands at the beginning; empty: the template's"});
  v.field("number_pictures", c.number_pictures, {.doc = "\"Picture 1: \" before each"});
  v.field("min_pixels", c.min_pixels,
          {.doc = "least area of a picture; smaller ones grow",
           .min = 1,
           .max = 1e9,
           .aliases = {"image_min_pixels"}});
  v.field("max_pixels", c.max_pixels,
          {.doc = "largest area of a picture; larger ones shrink",
           .min = 1,
           .max = 1e9,
           .aliases = {"image_max_pixels"}});
  v.field("resize", c.resize,
          {.doc = "whose rule of sizes: they differ for very narrow pictures",
           .choices = {"transformers", "qwen"}});
  v.block("frames", {.doc = "which frames of a video are seen"}, [&](FieldVisitor& inner) {
    inner.field("fps", c.frames.fps,
                {.doc = "frames a second", .min = 0, .max = 1000, .above_min = true});
    inner.field("rates", c.rates,
                {.doc = "in training, frames a second are drawn from these for each sample "
                        "(Qwen2.5-VL's dynamic rate); empty: fps",
                 .unset = 0});
    inner.field("least", c.frames.least, {.doc = "frames", .min = 2, .max = 1 << 20});
    inner.field("most", c.frames.most, {.doc = "frames", .min = 2, .max = 1 << 20});
  });
}

void check_rates(Problems& found, const DialogueConfig& c) {
  constexpr double most = 1000;
  for (const double rate : c.rates) {
    if (rate > 0 && rate <= most) continue;
    found.emplace_back("dialogue.frames.rates", "expected frames a second above 0, at most 1000");
    return;
  }
}

void check_marks(Problems& found, const Config& c) {
  check_ids(found, "marks.", c.text.vocab_size,
            {{"image", c.marks.image},
             {"video", c.marks.video},
             {"vision_start", c.marks.vision_start},
             {"vision_end", c.marks.vision_end},
             {"end", c.marks.end},
             {"pad", c.marks.pad}});
  if (c.text.vocab_size < 1) return;
  if (c.marks.image >= 0 && c.marks.image == c.marks.video) {
    found.emplace_back("marks.video", "expected another id than marks.image");
  }
}

}  // namespace

const std::string& family_of(Version version) {
  static const std::string two = "qwen2_vl", two_five = "qwen25_vl";
  return version == Version::two ? two : two_five;
}

const std::string& class_of(Version version) {
  static const std::string two = "Qwen2VLForConditionalGeneration";
  static const std::string two_five = "Qwen2_5_VLForConditionalGeneration";
  return version == Version::two ? two : two_five;
}

std::int64_t VisionConfig::numbers() const {
  return channels * patch.frames * patch.patch * patch.patch;
}

std::int64_t VisionConfig::window_side() const { return window / patch.merge / patch.patch; }

Config::Config(Version v) : version(v) {
  if (version == Version::two) return;
  vision.activation = "silu";
  vision.mlp = 3420;
  text.width = 2048;
  text.layers = 36;
  text.heads = 16;
  text.mlp = 11008;
  text.context_length = 128000;
}

Problems problems(const Config& c) {
  Problems found;
  check_heads(found, "vision.heads", c.vision.width, c.vision.heads);
  check_heads(found, "text.heads", c.text.width, c.text.heads);
  if (c.vision.heads > 0 && c.vision.width % (4 * c.vision.heads) != 0) {
    found.emplace_back("vision.heads", "expected heads whose width is a multiple of 4");
  }
  if (c.text.kv_heads > 0 && c.text.heads % c.text.kv_heads != 0) {
    found.emplace_back("text.kv_heads", "expected a divisor of heads");
  }
  const auto& s = c.text.sections;
  const bool positive = std::all_of(s.begin(), s.end(), [](std::int64_t n) { return n >= 0; });
  if (s.size() != 3 || !positive || c.text.heads < 1 ||
      2 * std::accumulate(s.begin(), s.end(), std::int64_t{0}) != c.text.head_dim()) {
    found.emplace_back("text.sections", "expected 3 numbers that sum to half a head's width");
  }
  if (c.version == Version::two_five) {
    if (c.vision.window_side() < 1) {
      found.emplace_back("vision.window", "expected at least the side of a cell");
    }
    for (const std::int64_t block : c.vision.full_attention) {
      if (block < 0) found.emplace_back("vision.full_attention", "expected numbers of blocks");
    }
  }
  if (c.dialogue.min_pixels > c.dialogue.max_pixels) {
    found.emplace_back("dialogue.min_pixels", "expected at most max_pixels");
  }
  check_marks(found, c);
  check_rates(found, c.dialogue);
  return found;
}

void Config::fields(FieldVisitor& v) {
  v.block("vision", {.doc = "the encoder of pictures and videos (a vision transformer)"},
          [&](FieldVisitor& inner) {
            vision_fields(inner, vision, version);
            inner.field(
                "pretrained", vision_pretrained,
                {.doc = "a folder with the weights of such a tower, or of a whole model; its "
                        "merger is taken where it fits the language model",
                 .unset = 0,
                 .path = true});
          });
  v.block("text", {.doc = "the language model (Qwen2)"}, [&](FieldVisitor& inner) {
    text_fields(inner, text);
    inner.field("pretrained", language_pretrained,
                {.doc = "a Hugging Face directory of Qwen2, whose sizes and weights are "
                        "taken; name its tokenizer as `model.tokenizer`",
                 .unset = 0,
                 .path = true});
  });
  v.block("marks", {.doc = "ids of marks"},
          [&](FieldVisitor& inner) { mark_fields(inner, marks); });
  if (version == Version::two_five) {
    v.field("tokens_per_second", tokens_per_second,
            {.doc = "positions in time for a second of video", .min = 0, .max = 1000});
  }
  v.field("rope_after_video", rope_after_video,
          {.doc = "where a text goes on behind a video: behind its last position, or as "
                  "transformers 5 has it, behind a frame's longer side",
           .choices = {"qwen", "transformers5"}});
  v.block("dialogue", {.doc = "how samples are written down and how large pictures are"},
          [&](FieldVisitor& inner) { dialogue_fields(inner, dialogue); });
  v.block("preference", {.doc = "the loss dpo"},
          [&](FieldVisitor& inner) { models::fields(inner, preference); });
  v.block("image", {.doc = "decoding, interpolation and statistics of pictures"},
          [&](FieldVisitor& inner) { vision::fields(inner, image); });
  for (const auto& [field, what] : problems(*this)) v.problem(field, what);
}

nn::DecoderShape Config::decoder_shape() const {
  nn::DecoderShape shape;
  shape.width = text.width;
  shape.layers = text.layers;
  shape.heads = text.heads;
  shape.kv_heads = text.kv_heads;
  shape.head_dim = text.head_dim();
  shape.hidden = text.mlp;
  shape.vocab_size = text.vocab_size;
  shape.eps = text.rms_norm_eps;
  shape.qkv_bias = true;
  shape.activation = nn::activation_of(text.activation);
  shape.pad_id = marks.pad < text.vocab_size ? marks.pad : -1;
  shape.window = text.sliding.window;
  shape.first_window = text.sliding.first;
  return shape;
}

nn::RopeShape Config::rope_shape() const {
  return {.head_dim = text.head_dim(),
          .theta = text.theta,
          .sections = text.sections,
          .scaling = text.scaling};
}

PositionRule Config::position_rule() const {
  return {.merge = vision.patch.merge,
          .image_id = marks.image,
          .video_id = marks.video,
          .tokens_per_second = version == Version::two ? 0 : tokens_per_second,
          .after_video = rope_after_video == "qwen" ? AfterVideo::qwen : AfterVideo::transformers5};
}

const Config& config_of(const Settings& settings) { return settings_as<Config>(settings); }

void fit_vocabulary(Settings& settings, const text::Tokenizer& tokenizer) {
  auto& config = dynamic_cast<Config&>(settings);
  read_text_sizes(config, config.language_pretrained);
  const std::int64_t theirs = config.language_pretrained.empty() ? 0 : config.text.vocab_size;
  if (theirs > 0) config.text.vocab_size = 0;  // the marks may need more
  MarkRows rows(tokenizer);
  Marks& marks = config.marks;
  rows.take(marks.image, {"<|image_pad|>"});
  rows.take(marks.video, {"<|video_pad|>"});
  rows.take(marks.vision_start, {"<|vision_start|>"});
  rows.take(marks.vision_end, {"<|vision_end|>"});
  rows.take(marks.end, {"<|im_end|>"});
  rows.take(marks.pad, {"<|endoftext|>", "[PAD]"});
  fit_rows(config.text.vocab_size, rows.count(), "model.text.vocab_size");
  config.text.vocab_size = std::max(config.text.vocab_size, theirs);
}

}  // namespace tandem::models::qwen2_vl
