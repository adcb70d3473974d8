#include "models/processing.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>

#include <cstdint>
#include <span>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/data/verdict.h"
#include "tandem/objectives/token_loss.h"
#include "tandem/vision/resize.h"

namespace tandem::models {

void expect_tokenizer(const std::shared_ptr<const text::Tokenizer>& tokenizer) {
  if (tokenizer != nullptr && !tokenizer->empty()) return;
  throw Error(ErrorKind::config, "[models] expected a tokenizer; there is none", "",
              "set model.tokenizer or model.vocabulary");
}

void expect_pair(const data::Sample& sample) {
  if (!sample.pictures.empty() && !sample.texts.empty()) return;
  throw Error(ErrorKind::data,
              "[prepare] expected a picture and a caption; got " +
                  std::to_string(sample.pictures.size()) + " and " +
                  std::to_string(sample.texts.size()),
              sample.id);
}

void expect_picture(const data::Sample& sample) {
  if (!sample.pictures.empty()) return;
  throw Error(ErrorKind::data, "[prepare] expected a picture; got none", sample.id);
}

void expect_no_dialogue(const data::Sample& sample, const std::string& words) {
  if (sample.turns.empty() || !words.empty() || !sample.question.empty()) return;
  throw Error(
      ErrorKind::config,
      "[models] expected a prompt or a question; got a dialogue, which this family does not "
      "read",
      sample.id, "ask it by `tandem generate --prompt`");
}

vision::Image pixels_of(const data::Picture& picture, const std::string& where,
                        const vision::ImageSettings& settings) {
  if (!picture.encoded.empty()) return vision::decode(picture.encoded, where, settings);
  if (picture.pixels.empty()) {
    throw Error(ErrorKind::data, "[prepare] expected a picture; got an empty one", where);
  }
  return picture.pixels;
}

vision::Image training_view_of(const data::Picture& picture, const std::string& where,
                               const vision::ImageSettings& settings,
                               const vision::AugmentSettings& augment, Key key) {
  if (!picture.encoded.empty()) {
    return vision::training_view(picture.encoded, where, settings, augment, key);
  }
  return vision::training_view(pixels_of(picture, where, settings), settings, augment, key);
}

vision::Image squeezed(const vision::Image& image, const vision::ImageSettings& settings) {
  const auto side = static_cast<int>(settings.size);
  return vision::resize(image, side, side, vision::filter_of(settings));
}

Images images_of(const vision::Image& view) {
  Images images;
  images.pixels = at::empty({1, 3, view.height, view.width}, at::kByte);
  vision::write_chw(view,
                    std::span(images.pixels.mutable_data_ptr<std::uint8_t>(), view.rgb.size()));
  return images;
}

Images squeezed_of(const data::Picture& picture, const std::string& where,
                   const vision::ImageSettings& settings) {
  return images_of(squeezed(pixels_of(picture, where, settings), settings));
}

Images view_of(const data::Picture& picture, const std::string& where,
               const vision::ImageSettings& settings, const vision::AugmentSettings& augment,
               Key key, bool train) {
  return train ? images_of(training_view_of(picture, where, settings, augment, key))
               : squeezed_of(picture, where, settings);
}

Tokens tokens_of(const std::vector<std::int32_t>& ids) {
  Tokens tokens;
  tokens.ids = row_of(ids);
  tokens.mask = at::ones_like(tokens.ids);
  return tokens;
}

Tokens masked_tokens(const std::vector<std::int32_t>& ids, const text::MaskingRule& rule,
                     const text::MaskingVocabulary& vocabulary, Key key) {
  const text::MaskedText masked = text::mask_tokens(ids, rule, vocabulary, key);
  Tokens tokens = tokens_of(masked.ids);
  tokens.labels = row_of(masked.labels);
  return tokens;
}

std::function<std::string(const std::vector<std::int64_t>&)> words_of(
    std::shared_ptr<const text::Tokenizer> tokenizer) {
  return [tokenizer = std::move(tokenizer)](const std::vector<std::int64_t>& ids) {
    return tokenizer->decode(std::vector<std::int32_t>(ids.begin(), ids.end()));
  };
}

std::string first_words(const std::string& text, std::int64_t most) {
  constexpr const char* spaces = " \t\n\r\f\v";
  std::string out;
  std::int64_t count = 0;
  for (std::size_t at = 0; count < most;) {
    const std::size_t begin = text.find_first_not_of(spaces, at);
    if (begin == std::string::npos) break;
    at = std::min(text.find_first_of(spaces, begin), text.size());
    if (count++ > 0) out += ' ';
    out.append(text, begin, at - begin);
  }
  return out;
}

const std::string& caption_of(const data::Sample& sample, Key key, bool train) {
  const std::uint64_t drawn = train ? Random(key.fold("caption")).below(sample.texts.size()) : 0;
  return sample.texts.at(drawn);
}

void expect_no_verdict(const data::Sample& sample) {
  if (!data::has_verdict(sample)) return;
  throw Error(ErrorKind::config,
              "[models] expected captions to learn to write; got a sentence with a label (" +
                  std::to_string(sample.label) +
                  "), as NLVR2, visual entailment and captions with `wrong` have them: it need not "
                  "be true of the picture",
              sample.id,
              "leave its source out of the stage's mix, or write it as questions with answers "
              "(format: dialogue)");
}

const std::string& words_asked(const data::Sample& sample, Key key, bool train) {
  if (!sample.question.empty()) return sample.question;
  if (!sample.texts.empty()) return caption_of(sample, key, train);
  throw Error(ErrorKind::data, "[prepare] expected a question or a sentence; got neither",
              sample.id);
}

void expect_pictures(const data::Sample& sample, std::size_t count) {
  if (sample.pictures.size() == count) return;
  throw Error(ErrorKind::data,
              "[prepare] expected " + std::to_string(count) + " picture" + (count == 1 ? "" : "s") +
                  "; got " + std::to_string(sample.pictures.size()),
              sample.id);
}

at::Tensor label_of(const data::Sample& sample, std::int64_t classes, bool train) {
  if (sample.label >= classes || (train && sample.label < 0)) {
    throw Error(ErrorKind::data,
                "[prepare] expected a label below " + std::to_string(classes) + "; got " +
                    (sample.label < 0 ? "none" : std::to_string(sample.label)),
                sample.id);
  }
  return at::full({1}, sample.label < 0 ? objectives::ignored : sample.label, at::kLong);
}

at::Tensor scores_of(const data::Sample& sample, std::int64_t answers) {
  at::Tensor scores = at::zeros({1, answers}, at::kFloat);
  auto* const values = scores.mutable_data_ptr<float>();
  const auto set = [&](std::int64_t label, double score) {
    if (label >= answers) {
      throw Error(ErrorKind::data,
                  "[prepare] expected an answer of a list of " + std::to_string(answers) +
                      "; got number " + std::to_string(label),
                  sample.id, "model.labels is the length of the data's list");
    }
    if (label >= 0) values[label] = static_cast<float>(score);
  };
  if (sample.answers.empty()) set(sample.label, 1);
  for (const data::Answer& one : sample.answers) set(one.label, one.score);
  return scores;
}

}  // namespace tandem::models
