#include "models/processing.h"

#include <ATen/ops/ones_like.h>

#include <cstdint>
#include <span>
#include <utility>

#include "tandem/base/error.h"
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

const std::string& caption_of(const data::Sample& sample, Key key, bool train) {
  const std::uint64_t drawn = train ? Random(key.fold("caption")).below(sample.texts.size()) : 0;
  return sample.texts.at(drawn);
}

}  // namespace tandem::models
