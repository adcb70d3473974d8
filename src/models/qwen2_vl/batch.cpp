#include "models/qwen2_vl/batch.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "models/dialogue.h"
#include "models/processing.h"
#include "models/qwen2_vl/boxes.h"
#include "models/qwen2_vl/layout.h"
#include "models/qwen2_vl/model.h"
#include "models/qwen2_vl/shown.h"
#include "tandem/base/error.h"
#include "tandem/base/random.h"
#include "tandem/data/check.h"

namespace tandem::models::qwen2_vl {
namespace {

using text::ChatPiece;
using text::PartKind;
using vision::Extent;
using vision::Image;

// The ids of a place: a mark for each token between the marks of its ends.
std::vector<std::int64_t> ids_of(const Grid& grid, bool clip, const Config& config) {
  const Marks& marks = config.marks;
  const std::int64_t count = vision::tokens_of(grid, config.vision.patch.merge);
  std::vector<std::int64_t> ids(static_cast<std::size_t>(count + 2),
                                clip ? marks.video : marks.image);
  ids.front() = marks.vision_start;
  ids.back() = marks.vision_end;
  return ids;
}

const data::Picture& picture_at(const data::Sample& sample, std::int64_t index) {
  if (index < 0 || index >= static_cast<std::int64_t>(sample.pictures.size())) {
    throw Error(ErrorKind::data, "[qwen2_vl] expected a picture for every place of the dialogue",
                sample.id);
  }
  return sample.pictures[static_cast<std::size_t>(index)];
}

const data::Clip& clip_at(const data::Sample& sample, std::int64_t index) {
  if (index < 0 || index >= static_cast<std::int64_t>(sample.clips.size())) {
    throw Error(ErrorKind::data, "[qwen2_vl] expected a clip for every place of the dialogue",
                sample.id);
  }
  return sample.clips[static_cast<std::size_t>(index)];
}

// The same as Gallery::place, and nothing decoded.
std::vector<std::int64_t> ids_by_header(const data::Sample& sample, const ChatPiece& piece,
                                        const Config& config) {
  const bool clip = piece.kind == PartKind::clip;
  const Grid grid =
      clip ? clip_grid(clip_at(sample, piece.index), piece.wish, config, sample.id)
           : picture_grid(picture_at(sample, piece.index), piece.wish, config, sample.id);
  return ids_of(grid, clip, config);
}

// The pictures and clips of a dialogue in the order of their places.
class Gallery {
 public:
  Gallery(const data::Sample& sample, const Config& config) : sample_(sample), config_(config) {}

  // The ids of a place, and what stands there.
  std::vector<std::int64_t> place(const ChatPiece& piece) {
    shown.push_back(piece.kind == PartKind::clip
                        ? shown_clip(clip_at(sample_, piece.index), piece.wish, config_, sample_.id)
                        : shown_picture(pixels_at(piece.index), piece.wish, config_, sample_.id));
    return ids_of(shown.back().grid, shown.back().clip, config_);
  }

  // A picture's size as it is stored and as it will be seen.
  Frame frame_of(std::int64_t picture) {
    const Image& pixels = pixels_at(picture);
    const Extent stored{pixels.height, pixels.width};
    return {stored, size_of(stored, {}, picture_limits(config_), config_, sample_.id)};
  }

  std::vector<Shown> shown;

 private:
  const Image& pixels_at(std::int64_t index) {
    const data::Picture& picture = picture_at(sample_, index);
    Image& pixels = decoded_[index];
    if (pixels.empty()) pixels = pixels_of(picture, sample_.id, config_.image);
    return pixels;
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
std::vector<text::Turn> grounding_turns(const data::Sample& sample, const Frame& frame,
                                        const Config& config) {
  const std::string& expression = sample.texts[0];
  const std::string reply = write_boxes({{sample.boxes[0], expression}}, frame, config.version);
  return {
      {"user", {text::picture_part(0), text::text_part("Locate in the picture: " + expression)}},
      {"assistant", {text::text_part(reply)}}};
}

// Boxes with names are of things that a caption tells of, not of what the text means.
bool is_grounding(const data::Sample& sample) {
  return sample.turns.empty() && sample.question.empty() && sample.texts.size() == 1 &&
         sample.boxes.size() == 1 && sample.box_names.empty() && !sample.pictures.empty();
}

std::vector<text::Turn> written(const data::Sample& sample, Gallery& gallery, const Config& config,
                                Key key, bool train) {
  return is_grounding(sample) ? grounding_turns(sample, gallery.frame_of(0), config)
                              : turns_of(sample, key, train);
}

// Tokens of a sample's dialogue from headers. Of a box the numbers may be others than in training
// where a picture is turned upright.
std::int64_t length_of(const data::Sample& sample, const Config& config,
                       const text::Tokenizer& tokenizer) {
  std::vector<text::Turn> turns;
  if (is_grounding(sample)) {
    const data::PictureFacts facts = data::facts_of(sample.pictures[0], sample.id);
    const Extent stored{facts.height, facts.width};
    const Extent seen = size_of(stored, {}, picture_limits(config), config, sample.id);
    turns = grounding_turns(sample, {stored, seen}, config);
  } else {
    turns = turns_of(sample, Key(0), /*train=*/false);
  }
  const PlaceIds place = [&](const ChatPiece& piece) {
    return ids_by_header(sample, piece, config);
  };
  return dialogue_length(sample, turns, rule_of(config), tokenizer, place);
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

// In training a rate of clips is drawn for each sample. null: it is as the config says.
std::unique_ptr<const Config> with_drawn_rate(const Config& config, Key key) {
  const std::vector<double>& rates = config.dialogue.rates;
  if (rates.empty()) return nullptr;
  auto drawn = std::make_unique<Config>(config);
  drawn->dialogue.frames.fps = rates[Random(key.fold("frame rate")).below(rates.size())];
  return drawn;
}

// The one of which clips have the most tokens: a sample's length is known before its draw.
Config with_highest_rate(Config config) {
  const std::vector<double>& rates = config.dialogue.rates;
  if (!rates.empty()) {
    config.dialogue.frames.fps = *std::max_element(rates.begin(), rates.end());
  }
  return config;
}

Batch example_of(const data::Sample& sample, Key key, bool train, const Config& config,
                 const text::Tokenizer& tokenizer) {
  if (!sample.rejected.empty()) return preference_batch(sample, config, tokenizer);
  const MakeTurns turns = [&](Gallery& gallery) {
    return written(sample, gallery, config, key, train);
  };
  return dialogue_batch(sample, turns, config, tokenizer, /*open=*/false);
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
    expect_no_verdict(sample);
    const auto drawn = train ? with_drawn_rate(*config, key) : nullptr;
    return example_of(sample, key, train, drawn ? *drawn : *config, *tokenizer);
  };
  processor.prompt = [config, tokenizer](const data::Sample& sample, const std::string& given) {
    const std::string words = request_of(sample, given);
    const data::Sample asks = words.empty() ? sample : question_about(sample, words);
    const MakeTurns turns = [&](Gallery& gallery) {
      return written(asks, gallery, *config, Key(0), /*train=*/false);
    };
    return dialogue_batch(asks, turns, *config, *tokenizer, /*open=*/true);
  };
  processor.prompt_padding = Padding::left;
  processor.packed_losses = {"lm", "dpo"};
  processor.length = [config = with_highest_rate(*config), tokenizer](const data::Sample& sample) {
    return length_of(sample, config, *tokenizer);
  };
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
