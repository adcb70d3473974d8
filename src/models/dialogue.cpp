#include "models/dialogue.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "models/processing.h"
#include "tandem/base/error.h"
#include "tandem/data/best_answer.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models {
namespace {

using text::ChatPiece;
using text::PartKind;

[[noreturn]] void refuse(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, "[dialogue] " + what, where);
}

// A stretch of text that is encoded at once: to the next picture, or to the next mark (a token that
// ends words on both sides).
struct Stretch {
  struct End {
    std::size_t bytes = 0;
    bool supervised = false;
  };
  std::string text{};
  std::vector<End> ends{};  // of its pieces
};

class Row {
 public:
  Row(const text::Tokenizer& tokenizer, bool separate)
      : tokenizer_(tokenizer), separate_(separate) {}

  void id(std::int64_t id, bool supervised) {
    ids.push_back(id);
    labels.push_back(supervised ? id : objectives::ignored);
  }

  void text(const ChatPiece& piece) {
    if (separate_ || (piece.mark && is_token(piece.text))) flush();
    stretch_.text += piece.text;
    stretch_.ends.push_back({stretch_.text.size(), piece.supervised});
  }

  void flush() {
    if (stretch_.text.empty()) return;
    const std::vector<std::int32_t> all = tokenizer_.encode(stretch_.text);
    std::size_t at = 0;
    for (const Stretch::End& end : stretch_.ends) {
      std::size_t next = all.size();
      if (end.bytes < stretch_.text.size()) {
        const std::string_view before(stretch_.text.data(), end.bytes);
        next = std::clamp(tokenizer_.encode(before).size(), at, all.size());
      }
      for (; at < next; ++at) id(all[at], end.supervised);
    }
    stretch_ = {};
  }

  std::vector<std::int64_t> ids{}, labels{};

 private:
  bool is_token(const std::string& mark) const { return tokenizer_.encode(mark).size() == 1; }

  const text::Tokenizer& tokenizer_;
  bool separate_;
  Stretch stretch_{};
};

struct Place {
  PartKind kind = PartKind::picture;
  std::int64_t index = 0;
  std::size_t first = 0, end = 0;  // ids
};

// Drops what lies behind `limit`, and a picture that it would cut.
std::size_t cut(const std::vector<Place>& places, std::size_t length, std::size_t limit) {
  if (length <= limit) return length;
  for (const Place& place : places) {
    if (place.first < limit && limit < place.end) return place.first;
  }
  return limit;
}

DialogueTokens row_of_pieces(const std::vector<ChatPiece>& pieces, const DialogueRule& rule,
                             const text::Tokenizer& tokenizer, const PlaceIds& place_ids,
                             std::int64_t limit) {
  const text::ChatTemplate& chat = text::chat_template(rule.chat);
  Row row(tokenizer, chat.separate);
  if (chat.begins && rule.begin >= 0) row.id(rule.begin, false);
  std::vector<Place> places;
  for (const ChatPiece& piece : pieces) {
    if (piece.kind == PartKind::text) {
      row.text(piece);
      continue;
    }
    row.flush();
    Place place{piece.kind, piece.index, row.ids.size(), 0};
    for (const std::int64_t id : place_ids(piece)) row.id(id, false);
    place.end = row.ids.size();
    places.push_back(place);
  }
  row.flush();
  const std::size_t kept =
      limit < 0 ? row.ids.size() : cut(places, row.ids.size(), static_cast<std::size_t>(limit));
  DialogueTokens made;
  made.tokens.ids = row_of(std::span(row.ids).first(kept));
  made.tokens.labels = row_of(std::span(row.labels).first(kept));
  made.tokens.mask = at::ones_like(made.tokens.ids);
  for (const Place& place : places) {
    if (place.end > kept) break;
    (place.kind == PartKind::picture ? made.pictures : made.clips).push_back(place.index);
  }
  return made;
}

text::ChatOptions options_of(const DialogueRule& rule) {
  text::ChatOptions options;
  options.system = rule.system;
  options.number_pictures = rule.number_pictures;
  return options;
}

bool learns(const at::Tensor& labels) {
  const auto* first = labels.const_data_ptr<std::int64_t>();
  return std::any_of(first, first + labels.numel(),
                     [](std::int64_t label) { return label != objectives::ignored; });
}

// Asked before a caption, where the source has none.
constexpr std::array<const char*, 5> requests{
    "Describe the picture.", "What does the picture show?",
    "Say in one sentence what is in the picture.", "What can be seen here?",
    "Give a caption for this picture."};

}  // namespace

DialogueTokens dialogue_tokens(const std::vector<text::Turn>& turns, const DialogueRule& rule,
                               const text::Tokenizer& tokenizer, const PlaceIds& place,
                               const std::string& where, std::int64_t supervised_from) {
  text::ChatOptions options = options_of(rule);
  options.supervised_from = supervised_from;
  const auto pieces = chat_pieces(text::chat_template(rule.chat), turns, options, where);
  DialogueTokens made = row_of_pieces(pieces, rule, tokenizer, place, rule.max_tokens);
  if (!learns(made.tokens.labels)) {
    refuse("expected a reply to learn in the first " + std::to_string(rule.max_tokens) +
               " tokens; got none",
           where);
  }
  return made;
}

std::int64_t dialogue_length(const data::Sample& sample, const std::vector<text::Turn>& turns,
                             const DialogueRule& rule, const text::Tokenizer& tokenizer,
                             const PlaceIds& place) {
  const PlaceIds existing = [&](const ChatPiece& piece) {
    const bool is_clip = piece.kind == PartKind::clip;
    const std::size_t count = is_clip ? sample.clips.size() : sample.pictures.size();
    if (piece.index < 0 || static_cast<std::size_t>(piece.index) >= count) {
      refuse("expected a " + std::string(is_clip ? "clip" : "picture") + " for each place; got " +
                 std::to_string(count),
             sample.id);
    }
    return place(piece);
  };
  expect_no_verdict(sample);
  if (!sample.rejected.empty()) {
    const PreferenceTokens made = preference_tokens(sample, rule, tokenizer, existing);
    return made.chosen.tokens.ids.size(1) + made.rejected.tokens.ids.size(1);
  }
  return dialogue_tokens(turns, rule, tokenizer, existing, sample.id).tokens.ids.size(1);
}

DialogueTokens prompt_tokens(const std::vector<text::Turn>& turns, const DialogueRule& rule,
                             const text::Tokenizer& tokenizer, const PlaceIds& place,
                             const std::string& where) {
  text::ChatOptions options = options_of(rule);
  options.open = true;
  const auto pieces = chat_pieces(text::chat_template(rule.chat), turns, options, where);
  DialogueTokens made = row_of_pieces(pieces, rule, tokenizer, place, -1);
  if (made.tokens.ids.size(1) > rule.max_tokens) {
    refuse("expected a prompt of at most " + std::to_string(rule.max_tokens) + " tokens; got " +
               std::to_string(made.tokens.ids.size(1)),
           where);
  }
  made.tokens.labels = at::Tensor();
  return made;
}

PreferenceTokens preference_tokens(const data::Sample& sample, const DialogueRule& rule,
                                   const text::Tokenizer& tokenizer, const PlaceIds& place) {
  const std::int64_t prompt = sample.prompt_turns;
  if (sample.rejected.empty() || prompt < 1 ||
      prompt >= static_cast<std::int64_t>(sample.turns.size())) {
    refuse("expected a prompt, a preferred answer and a rejected one", sample.id);
  }
  std::vector<text::Turn> other(sample.turns.begin(), sample.turns.begin() + prompt);
  other.insert(other.end(), sample.rejected.begin(), sample.rejected.end());
  PreferenceTokens made{dialogue_tokens(sample.turns, rule, tokenizer, place, sample.id, prompt),
                        dialogue_tokens(other, rule, tokenizer, place, sample.id, prompt)};
  if (made.chosen.pictures != made.rejected.pictures || made.chosen.clips != made.rejected.clips) {
    refuse("expected both answers to follow the same pictures", sample.id);
  }
  return made;
}

Batch pictured_row(const data::Sample& sample, DialogueTokens made, const DialogueView& view) {
  Batch batch;
  batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
  batch.text = std::move(made.tokens);
  if (made.pictures.empty()) return batch;
  std::vector<at::Tensor> pixels;
  for (const std::int64_t number : made.pictures) {
    const auto index = static_cast<std::size_t>(number);
    if (index >= sample.pictures.size()) {
      refuse("expected a picture for each place; got " + std::to_string(sample.pictures.size()),
             sample.id);
    }
    pixels.push_back(view(sample.pictures[index], sample.id).pixels);
  }
  Images images;
  images.pixels = at::cat(pixels);
  images.rows = at::zeros({images.pixels.size(0)}, at::kLong);
  batch.images = std::move(images);
  return batch;
}

PlaceIds same_places(std::vector<std::int64_t> ids) {
  return [ids = std::move(ids)](const text::ChatPiece& piece) {
    if (piece.kind == text::PartKind::clip) {
      throw Error(ErrorKind::data, "[models] expected pictures; got a clip");
    }
    return ids;
  };
}

text::Turn shown_with(const data::Sample& sample, const std::string& words) {
  text::Turn turn{"user", {}};
  for (std::size_t i = 0; i < sample.pictures.size(); ++i) {
    turn.parts.push_back(text::picture_part(static_cast<std::int64_t>(i)));
  }
  for (std::size_t i = 0; i < sample.clips.size(); ++i) {
    turn.parts.push_back(text::clip_part(static_cast<std::int64_t>(i)));
  }
  if (!words.empty()) turn.parts.push_back(text::text_part(words));
  return turn;
}

text::Turn reply_of(std::string words) {
  return {"assistant", {text::text_part(std::move(words))}};
}

std::vector<text::Turn> turns_of(const data::Sample& sample, Key key, bool train) {
  if (!sample.turns.empty()) return sample.turns;
  if (!sample.question.empty()) {
    const std::string& answer = data::best_answer(sample);
    if (answer.empty()) refuse("expected an answer to the question; got none", sample.id);
    return {shown_with(sample, sample.question), reply_of(answer)};
  }
  if (sample.texts.empty()) {
    refuse("expected turns, a question or a caption; got none", sample.id);
  }
  const bool shows = !sample.pictures.empty() || !sample.clips.empty();
  const std::uint64_t drawn = train ? Random(key.fold("request")).below(requests.size()) : 0;
  return {shown_with(sample, shows ? requests.at(drawn) : ""),
          reply_of(caption_of(sample, key, train))};
}

std::string request_of(const data::Sample& sample, const std::string& given) {
  const bool says = !sample.turns.empty() || !sample.question.empty() || !sample.texts.empty() ||
                    !sample.boxes.empty();
  return given.empty() && !says ? requests[0] : given;
}

std::vector<text::Turn> asked(std::vector<text::Turn> turns) {
  while (!turns.empty() && turns.back().role == "assistant") turns.pop_back();
  return turns;
}

std::vector<std::int64_t> stop_ids(const DialogueRule& rule, const text::Tokenizer& tokenizer) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text::chat_template(rule.chat).stop);
  if (ids.size() != 1) return {};
  return {ids[0]};
}

}  // namespace tandem::models
