#pragma once
// What the families' processors share: a sample's picture and texts as a Batch of one.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tandem/models/model.h"
#include "tandem/text/masking.h"
#include "tandem/vision/transform.h"

namespace tandem::models {

// Throws Error(config) when there is none.
void expect_tokenizer(const std::shared_ptr<const text::Tokenizer>& tokenizer);
// Throws Error(data) for a sample without a picture or without a caption.
void expect_pair(const data::Sample& sample);
void expect_picture(const data::Sample& sample);
// Of a family that reads no dialogues, a sample that is asked with `words` (none: what it says
// itself). Throws Error(config) for one that says nothing but turns.
void expect_no_dialogue(const data::Sample& sample, const std::string& words);

// Decoded where it is encoded. Throws Error(data) for an empty one.
vision::Image pixels_of(const data::Picture& picture, const std::string& where,
                        const vision::ImageSettings& settings);
// Of a picture, what training sees (vision::training_view); encoded ones may be read at less than
// their size.
vision::Image training_view_of(const data::Picture& picture, const std::string& where,
                               const vision::ImageSettings& settings,
                               const vision::AugmentSettings& augment, Key key);
// The whole picture in a square of the settings' size, whatever its proportions.
vision::Image squeezed(const vision::Image& image, const vision::ImageSettings& settings);

Images images_of(const vision::Image& view);  // uint8 [1, 3, H, W]
// A picture as a row: squeezed, or in training its training view.
Images squeezed_of(const data::Picture& picture, const std::string& where,
                   const vision::ImageSettings& settings);
Images view_of(const data::Picture& picture, const std::string& where,
               const vision::ImageSettings& settings, const vision::AugmentSettings& augment,
               Key key, bool train);

// One row, int64 [1, T].
template <class Ids>
at::Tensor row_of(const Ids& ids) {
  const at::Tensor row = at::empty({1, static_cast<std::int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), row.mutable_data_ptr<std::int64_t>());
  return row;
}

Tokens tokens_of(const std::vector<std::int32_t>& ids);  // all of them visible
// Some of them hidden: what is seen, with the hidden ones as labels.
Tokens masked_tokens(const std::vector<std::int32_t>& ids, const text::MaskingRule& rule,
                     const text::MaskingVocabulary& vocabulary, Key key);

// What a task's sample asks: its question, or else its sentence, one of the captions as above.
// Throws Error(data) where there is neither.
const std::string& words_asked(const data::Sample& sample, Key key, bool train);
// So many pictures. Throws Error(data) for a sample of another number.
void expect_pictures(const data::Sample& sample, std::size_t count);
// int64 [1]: the right class of `classes`, objectives::ignored where it is not known. Throws
// Error(data) for one that there is not, and in training for one that is not known.
at::Tensor label_of(const data::Sample& sample, std::int64_t classes, bool train);
// fp32 [1, answers]: what each answer of the closed list is worth; the others are worth nothing.
// Throws Error(data) for an answer that is not in a list of that length.
at::Tensor scores_of(const data::Sample& sample, std::int64_t answers);

// Processor::decode of a tokenizer: special tokens are left out, ids that do not exist, too.
std::function<std::string(const std::vector<std::int64_t>&)> words_of(
    std::shared_ptr<const text::Tokenizer> tokenizer);

// A text's first words with one space between them.
std::string first_words(const std::string& text, std::int64_t most);

// Throws Error(config) for a text with a verdict (data::has_verdict), which a model would learn to
// say of the picture as if it were true. For what learns to write; what is asked is not looked at.
void expect_no_verdict(const data::Sample& sample);

// The caption that a sample shows: drawn in training, else the first.
const std::string& caption_of(const data::Sample& sample, Key key, bool train);

}  // namespace tandem::models
