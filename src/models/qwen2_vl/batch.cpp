#include "models/qwen2_vl/batch.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "models/dialogue.h"
#include "models/processing.h"
#include "models/qwen2_vl/boxes.h"
#include "models/qwen2_vl/layout.h"
#include "models/qwen2_vl/model.h"
#include "tandem/base/error.h"
#include "tandem/vision/frames.h"
#include "tandem/vision/resize.h"

namespace tandem::models::qwen2_vl {
namespace {

using text::ChatPiece;
using text::PartKind;
using text::VisionWish;
using vision::Extent;
using vision::Image;

// A picture or a clip as it stands at a place of a dialogue.
struct Shown {
  std::vector<Image> frames;  // resized; one: a picture
  Grid grid;
  bool clip = false;
  double seconds = 1;  // between slices of a clip
};

// --- Pictures and clips ------------------------------------------------------------------------

vision::PixelLimits limited(vision::PixelLimits limits, const VisionWish& wish) {
  if (wish.min_pixels > 0) limits.least = static_cast<double>(wish.min_pixels);
  if (wish.max_pixels > 0) limits.most = static_cast<double>(wish.max_pixels);
  limits.most = std::max(limits.most, limits.least);
  return limits;
}

// The size of a frame: the one that is asked for, or its own within the limits.
Extent size_of(const Image& frame, const VisionWish& wish, const vision::PixelLimits& limits,
               const Config& config, const std::string& where) {
  const auto rule = config.dialogue.resize == "qwen" ? vision::ResizeRule::qwen
                                                     : vision::ResizeRule::transformers;
  const std::int64_t factor = config.vision.patch.factor();
  if (wish.height > 0 && wish.width > 0) {
    const auto cell = static_cast<double>(factor * factor);
    return vision::smart_resize({wish.height, wish.width}, factor, {4 * cell, 16384 * cell}, rule,
                                where);
  }
  return vision::smart_resize({frame.height, frame.width}, factor, limited(limits, wish), rule,
                              where);
}

void resize_frames(Shown& shown, const Extent& size, const Config& config) {
  for (Image& frame : shown.frames) {
    frame = vision::resize(frame, static_cast<int>(size.width), static_cast<int>(size.height),
                           vision::filter_of(config.image));
  }
  shown.grid =
      vision::grid_of(size, static_cast<std::int64_t>(shown.frames.size()), config.vision.patch);
}

vision::PixelLimits picture_limits(const Config& config) {
  return {config.dialogue.min_pixels, config.dialogue.max_pixels};
}

vision::FrameRule frame_rule(const VisionWish& wish, vision::FrameRule rule) {
  if (wish.fps > 0) rule.fps = wish.fps;
  if (wish.frames > 0) rule.frames = wish.frames;
  if (wish.min_frames > 0) rule.least = wish.min_frames;
  if (wish.max_frames > 0) rule.most = wish.max_frames;
  if (wish.start > 0) rule.start = wish.start;
  if (wish.end > 0) rule.end = wish.end;
  return rule;
}

// Frames a second of a clip's frames; 0: not known.
double rate_of(const data::Clip& clip) {
  if (clip.fps > 0 || clip.seconds.size() < 2) return clip.fps;
  const double length = clip.seconds.back() - clip.seconds.front();
  return length > 0 ? static_cast<double>(clip.seconds.size() - 1) / length : 0;
}

// Of a clip whose rate is known, the frames that the rule chooses; of another one all, as two a
// second, the last one twice where their number is odd.
vision::FrameChoice frames_of(const data::Clip& clip, const vision::FrameRule& rule,
                              const std::string& where) {
  const auto total = static_cast<std::int64_t>(clip.frames.size());
  const double rate = rate_of(clip);
  if (rate > 0) return vision::choose_frames(total, rate, rule, where);
  vision::FrameChoice all;
  all.fps = 2;
  for (std::int64_t i = 0; i < total; ++i) all.indices.push_back(i);
  if (total % 2 == 1) all.indices.push_back(total - 1);
  return all;
}

Shown clip_of(const data::Sample& sample, const ChatPiece& place, const Config& config) {
  const auto index = static_cast<std::size_t>(place.index);
  if (place.index < 0 || index >= sample.clips.size() || sample.clips[index].frames.empty()) {
    throw Error(ErrorKind::data, "[qwen2_vl] expected the frames of a clip for every place",
                sample.id);
  }
  const data::Clip& clip = sample.clips[index];
  const vision::FrameChoice choice =
      frames_of(clip, frame_rule(place.wish, config.dialogue.frames), sample.id);
  Shown shown;
  shown.clip = true;
  shown.seconds = choice.seconds_per_grid(config.vision.patch.frames);
  for (const std::int64_t frame : choice.indices) {
    shown.frames.push_back(
        pixels_of(clip.frames[static_cast<std::size_t>(frame)], sample.id, config.image));
  }
  vision::PixelLimits limits =
      vision::frame_limits(static_cast<std::int64_t>(choice.indices.size()), config.vision.patch,
                           config.text.context_length);
  // Of frames the config's own limits are the outer ones: a small model sees small clips.
  limits.most = std::min(limits.most, config.dialogue.max_pixels);
  limits.least = std::min(limits.least, limits.most);
  const Extent size = size_of(shown.frames[0], place.wish, limits, config, sample.id);
  resize_frames(shown, size, config);
  return shown;
}

// The pictures and clips of a dialogue in the order of their places.
class Gallery {
 public:
  Gallery(const data::Sample& sample, const Config& config) : sample_(sample), config_(config) {}

  // The ids of a place, and what stands there.
  std::vector<std::int64_t> place(const ChatPiece& piece) {
    shown.push_back(piece.kind == PartKind::clip ? clip_of(sample_, piece, config_)
                                                 : picture_of(piece));
    const Marks& marks = config_.marks;
    const std::int64_t count = vision::tokens_of(shown.back().grid, config_.vision.patch.merge);
    std::vector<std::int64_t> ids(static_cast<std::size_t>(count + 2),
                                  shown.back().clip ? marks.video : marks.image);
    ids.front() = marks.vision_start;
    ids.back() = marks.vision_end;
    return ids;
  }

  // A picture's size as it is stored and as it will be seen.
  Frame frame_of(std::int64_t picture) {
    const Image& pixels = pixels_at(picture);
    return {{pixels.height, pixels.width},
            size_of(pixels, {}, picture_limits(config_), config_, sample_.id)};
  }

  std::vector<Shown> shown;

 private:
  const Image& pixels_at(std::int64_t index) {
    if (index < 0 || index >= static_cast<std::int64_t>(sample_.pictures.size())) {
      throw Error(ErrorKind::data, "[qwen2_vl] expected a picture for every place of the dialogue",
                  sample_.id);
    }
    Image& pixels = decoded_[index];
    if (pixels.empty()) {
      pixels =
          pixels_of(sample_.pictures[static_cast<std::size_t>(index)], sample_.id, config_.image);
    }
    return pixels;
  }

  Shown picture_of(const ChatPiece& place) {
    Shown shown;
    shown.frames = {pixels_at(place.index)};
    const Extent size =
        size_of(shown.frames[0], place.wish, picture_limits(config_), config_, sample_.id);
    resize_frames(shown, size, config_);
    return shown;
  }

  const data::Sample& sample_;
  const Config& config_;
  std::map<std::int64_t, Image> decoded_;
};

// --- Tensors -----------------------------------------------------------------------------------

std::optional<PackedPatches> packed(std::span<const Shown> shown, const Config& config) {
  if (shown.empty()) return {};
  std::int64_t total = 0;
  std::vector<std::int64_t> grids, ends{0};
  for (const Shown& one : shown) {
    total += one.grid.patches();
    ends.push_back(total);
    grids.insert(grids.end(), {one.grid.t, one.grid.h, one.grid.w});
  }
  PackedPatches out;
  const std::int64_t numbers = config.vision.patch.numbers();
  out.patches = at::empty({total, numbers}, at::kByte);
  auto* to = out.patches.mutable_data_ptr<std::uint8_t>();
  for (const Shown& one : shown) {
    const auto bytes = static_cast<std::size_t>(one.grid.patches() * numbers);
    vision::write_patches(one.frames, config.vision.patch, {to, bytes});
    to += bytes;
  }
  out.grid_thw = at::tensor(grids, at::kLong).view({-1, 3});
  out.cu_seqlens = at::tensor(ends, at::kInt);
  return out;
}

// Every token's place in time, height and width.
void add_positions(Tokens& tokens, std::span<const Shown> shown, const Config& config,
                   const std::string& where) {
  Visuals visuals;
  for (const Shown& one : shown) {
    (one.clip ? visuals.videos : visuals.images).push_back(one.grid);
    if (one.clip) visuals.seconds.push_back(one.seconds);
  }
  const auto* ids = tokens.ids.const_data_ptr<std::int64_t>();
  tokens.positions = tensor_of(token_positions({ids, static_cast<std::size_t>(tokens.ids.numel())},
                                               visuals, config.position_rule(), where));
  tokens.lengths = {tokens.ids.size(1)};
}

// Of the places that were written down, those that the cut left.
std::span<const Shown> kept(const Gallery& gallery, const DialogueTokens& made) {
  return std::span(gallery.shown).first(made.pictures.size() + made.clips.size());
}

Batch batch_of(const data::Sample& sample) {
  Batch batch;
  batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
  return batch;
}

DialogueRule rule_of(const Config& config) {
  DialogueRule rule;
  rule.chat = config.dialogue.chat;
  if (!config.dialogue.system.empty()) rule.system = config.dialogue.system;
  rule.max_tokens = config.text.context_length;
  rule.number_pictures = config.dialogue.number_pictures;
  return rule;
}

// An expression and the box that it means, as a question and the text of the box.
std::vector<text::Turn> grounding_turns(const data::Sample& sample, Gallery& gallery,
                                        const Config& config) {
  const std::string& expression = sample.texts[0];
  const std::string reply =
      write_boxes({{sample.boxes[0], expression}}, gallery.frame_of(0), config.version);
  return {
      {"user", {text::picture_part(0), text::text_part("Locate in the picture: " + expression)}},
      {"assistant", {text::text_part(reply)}}};
}

bool is_grounding(const data::Sample& sample) {
  return sample.turns.empty() && sample.question.empty() && sample.texts.size() == 1 &&
         sample.boxes.size() == 1 && !sample.pictures.empty();
}

std::vector<text::Turn> written(const data::Sample& sample, Gallery& gallery, const Config& config,
                                Key key, bool train) {
  return is_grounding(sample) ? grounding_turns(sample, gallery, config)
                              : turns_of(sample, key, train);
}

using MakeTurns = std::function<std::vector<text::Turn>(Gallery&)>;

Batch dialogue_batch(const data::Sample& sample, const MakeTurns& turns, const Config& config,
                     const text::Tokenizer& tokenizer, bool open) {
  Gallery gallery(sample, config);
  const PlaceIds place = [&](const ChatPiece& piece) { return gallery.place(piece); };
  const DialogueRule rule = rule_of(config);
  DialogueTokens made =
      open ? prompt_tokens(asked(turns(gallery)), rule, tokenizer, place, sample.id)
           : dialogue_tokens(turns(gallery), rule, tokenizer, place, sample.id);
  Batch batch = batch_of(sample);
  batch.patches = packed(kept(gallery, made), config);
  add_positions(made.tokens, kept(gallery, made), config, sample.id);
  batch.text = std::move(made.tokens);
  return batch;
}

// Both answers behind one prompt: the pictures stand in the batch once.
Batch preference_batch(const data::Sample& sample, const Config& config,
                       const text::Tokenizer& tokenizer) {
  Gallery gallery(sample, config);
  const PlaceIds place = [&](const ChatPiece& piece) { return gallery.place(piece); };
  PreferenceTokens made = preference_tokens(sample, rule_of(config), tokenizer, place);
  const std::span<const Shown> shown = kept(gallery, made.chosen);
  Batch batch = batch_of(sample);
  batch.patches = packed(shown, config);
  add_positions(made.chosen.tokens, shown, config, sample.id);
  add_positions(made.rejected.tokens, shown, config, sample.id);
  batch.text = std::move(made.chosen.tokens);
  batch.rejected = std::move(made.rejected.tokens);
  return batch;
}

// The sample's pictures and clips and a question of its own.
data::Sample question_about(const data::Sample& sample, const std::string& words) {
  data::Sample question = sample;
  question.turns.clear();
  question.texts.clear();
  question.question = words;
  question.answer = "-";  // not asked
  return question;
}

}  // namespace

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
  const auto config = std::make_shared<const Config>(config_of(settings));
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(config->marks.pad, 0);
  processor.prepare = [config, tokenizer](const data::Sample& sample, Key key, bool train) {
    if (!sample.rejected.empty()) return preference_batch(sample, *config, *tokenizer);
    const MakeTurns turns = [&](Gallery& gallery) {
      return written(sample, gallery, *config, key, train);
    };
    return dialogue_batch(sample, turns, *config, *tokenizer, /*open=*/false);
  };
  processor.prompt = [config, tokenizer](const data::Sample& sample, const std::string& words) {
    const data::Sample asks = words.empty() ? sample : question_about(sample, words);
    const MakeTurns turns = [&](Gallery& gallery) {
      return written(asks, gallery, *config, Key(0), /*train=*/false);
    };
    return dialogue_batch(asks, turns, *config, *tokenizer, /*open=*/true);
  };
  processor.prompt_padding = Padding::left;
  processor.answer = [config, tokenizer](const std::string& words) {
    Tokens tokens = tokens_of(tokenizer->encode(words));
    tokens.ids = at::cat({tokens.ids, at::full({1, 1}, config->marks.end, at::kLong)}, 1);
    tokens.mask = at::full(tokens.ids.sizes(), 1, at::kLong);
    return tokens;
  };
  processor.decode = words_of(tokenizer);
  return processor;
}

}  // namespace tandem::models::qwen2_vl
