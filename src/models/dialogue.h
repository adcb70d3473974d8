#pragma once
// From a dialogue to what a language model reads: ids with the places of pictures in them, and
// which of them are learned. Every processor of a language-model family stands on this.
//
// The ids of a picture (its marks and placeholders) come from the family, by the same function for
// a prompt and for the model, so that both count alike. Texts between pictures are encoded as a
// whole, as the originals do; where a learned piece meets one that is not, the tokens of what
// stands before it (back to the last mark) are counted.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/sample.h"
#include "tandem/tensor/batch.h"
#include "tandem/text/chat.h"
#include "tandem/text/tokenizer.h"

namespace tandem::models {

struct DialogueRule {
  std::string chat = "v1";              // of text::chat_templates()
  std::optional<std::string> system{};  // instead of the template's
  std::int64_t max_tokens = 2048;       // what is longer is cut, before a picture rather than in it
  std::int64_t begin = -1;              // the begin mark's id; -1: none
  bool number_pictures = false;         // text::ChatOptions
};

// The ids that stand for a picture or clip: its marks and its placeholders.
using PlaceIds = std::function<std::vector<std::int64_t>(const text::ChatPiece& place)>;

// A dialogue as one row, and the pictures and clips that stand in it, in order (those behind the
// cut do not).
struct DialogueTokens {
  Tokens tokens{};  // ids, mask, labels: [1, T]
  std::vector<std::int64_t> pictures{}, clips{};
};

// `supervised_from`: see text::ChatOptions. Throws Error(data): turns that the template cannot
// write, no learned token in the first max_tokens.
DialogueTokens dialogue_tokens(const std::vector<text::Turn>& turns, const DialogueRule& rule,
                               const text::Tokenizer& tokenizer, const PlaceIds& place,
                               const std::string& where, std::int64_t supervised_from = 0);

// How many tokens dialogue_tokens would make of a sample in evaluation (of several captions it has
// the first); of a preference both answers'. place: of which the counts of ids are looked at alone.
// Throws Error(data) as that does, and for a place without a picture or clip; Error(config) for a
// sentence with a verdict (processing.h).
std::int64_t dialogue_length(const data::Sample& sample, const std::vector<text::Turn>& turns,
                             const DialogueRule& rule, const text::Tokenizer& tokenizer,
                             const PlaceIds& place);

// The same up to where the assistant is to speak; no labels. Throws Error(data) for one longer than
// max_tokens.
DialogueTokens prompt_tokens(const std::vector<text::Turn>& turns, const DialogueRule& rule,
                             const text::Tokenizer& tokenizer, const PlaceIds& place,
                             const std::string& where);

// The preferred answer and the other one after the same prompt. Only answers are learned. Throws
// Error(data) for a sample without, and when the cut takes pictures of one and not of the other.
struct PreferenceTokens {
  DialogueTokens chosen{}, rejected{};
};
PreferenceTokens preference_tokens(const data::Sample& sample, const DialogueRule& rule,
                                   const text::Tokenizer& tokenizer, const PlaceIds& place);

// The pictures of a dialogue that is one row, each by `view` [1, 3, S, S]: a Batch of one. Throws
// Error(data) for a place without a picture.
using DialogueView = std::function<Images(const data::Picture& picture, const std::string& where)>;
Batch pictured_row(const data::Sample& sample, DialogueTokens made, const DialogueView& view);
// The same ids for every picture. Throws Error(data) for a clip.
PlaceIds same_places(std::vector<std::int64_t> ids);

// A turn of the user: the sample's pictures, its clips, the words (none: no words). One of the
// assistant.
text::Turn shown_with(const data::Sample& sample, const std::string& words);
text::Turn reply_of(std::string words);

// What a sample says as a dialogue: its turns; else its question and the best answer; else its
// caption (drawn in training) after a request for one; else its text alone as a reply. All pictures
// and clips stand before the words. Throws Error(data) for a sample that says nothing.
std::vector<text::Turn> turns_of(const data::Sample& sample, Key key, bool train);
// The words of a prompt: those given. A sample that says nothing itself is asked, where none are
// given, to be described.
std::string request_of(const data::Sample& sample, const std::string& given);
// What of them a model is asked: the turns before the last reply.
std::vector<text::Turn> asked(std::vector<text::Turn> turns);

// The ids after which a reply has ended: the template's stop mark, where it is a token.
std::vector<std::int64_t> stop_ids(const DialogueRule& rule, const text::Tokenizer& tokenizer);

}  // namespace tandem::models
