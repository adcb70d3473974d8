#include "models/vilt/batch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "models/vilt/config.h"
#include "tandem/base/error.h"

namespace tandem::models::vilt {
namespace {

// What every sample needs, made once.
struct Preparation {
  Config config;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  text::MaskingVocabulary vocabulary;
};

vision::Image pixels_of(const data::Picture& picture, const std::string& where,
                        const vision::ImageSettings& settings) {
  if (!picture.encoded.empty()) return vision::decode(picture.encoded, where, settings);
  if (picture.pixels.empty()) {
    throw Error(ErrorKind::data, "[prepare] expected a picture; got an empty one", where);
  }
  return picture.pixels;
}

Images images_of(const vision::Image& image, const Config& c) {
  const auto [width, height] =
      view_size(image.width, image.height, c.image.size > 0 ? c.image.size : c.image_size,
                c.image.multiple > 0 ? c.image.multiple : c.patch_size);
  const vision::Image view = vision::resize(image, width, height, vision::filter_of(c.image));
  Images images;
  images.pixels = at::empty({1, 3, height, width}, at::kByte);
  vision::write_chw(view,
                    std::span(images.pixels.mutable_data_ptr<std::uint8_t>(), view.rgb.size()));
  images.mask = at::ones({1, height, width}, at::kByte);
  images.sizes = {{height, width}};
  return images;
}

vision::Image training_view(vision::Image image, const AugmentConfig& augment, Key key) {
  if (augment.use_rand_augment) {
    image = vision::rand_augment(image, augment.rand_augment, key.fold("rand_augment"));
  }
  if (augment.flip > 0 && Random(key.fold("flip")).chance(augment.flip)) {
    vision::flip_horizontal(image);
  }
  return image;
}

Tokens tokens_of(const std::vector<std::int32_t>& ids) {
  Tokens tokens;
  tokens.ids = at::empty({1, static_cast<std::int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), tokens.ids.mutable_data_ptr<std::int64_t>());
  tokens.mask = at::ones_like(tokens.ids);
  tokens.lengths = {static_cast<std::int64_t>(ids.size())};
  return tokens;
}

Tokens hidden_words(const std::vector<std::int32_t>& ids, const Preparation& p, Key key) {
  const text::MaskedText hidden = text::mask_tokens(ids, p.config.text.masking, p.vocabulary, key);
  Tokens tokens = tokens_of(hidden.ids);
  tokens.labels = at::empty_like(tokens.ids);
  std::copy(hidden.labels.begin(), hidden.labels.end(),
            tokens.labels.mutable_data_ptr<std::int64_t>());
  return tokens;
}

// A question, or one of the captions: any in training, the first in evaluation.
const std::string& text_of(const data::Sample& sample, Key key, bool train) {
  if (!sample.question.empty()) return sample.question;
  return sample.texts[train ? Random(key.fold("caption")).below(sample.texts.size()) : 0];
}

Batch prepare(const Preparation& p, const data::Sample& sample, Key key, bool train) {
  if (sample.pictures.empty() || (sample.texts.empty() && sample.question.empty())) {
    throw Error(ErrorKind::data,
                "[prepare] expected a picture and a caption or a question; got " +
                    std::to_string(sample.pictures.size()) + " and " +
                    std::to_string(sample.texts.size()),
                sample.id);
  }
  vision::Image image = pixels_of(sample.pictures[0], sample.id, p.config.image);
  if (train) image = training_view(std::move(image), p.config.augment, key);
  const auto ids = p.tokenizer->encode_with_marks(text_of(sample, key, train),
                                                  static_cast<int>(p.config.text.context_length));
  Batch batch;
  batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
  batch.images = images_of(image, p.config);
  batch.text = tokens_of(ids);
  if (p.config.has("mlm")) batch.masked = hidden_words(ids, p, key.fold("mlm"));
  return batch;
}

}  // namespace

std::pair<int, int> view_size(int width, int height, std::int64_t size, std::int64_t multiple) {
  const auto shorter = static_cast<double>(size);
  const double longest = static_cast<double>(static_cast<std::int64_t>(1333.0 / 800 * shorter));
  double scale = shorter / std::min(width, height);
  double w = height < width ? scale * width : shorter,
         h = height < width ? shorter : scale * height;
  if (std::max(w, h) > longest) {
    scale = longest / std::max(w, h);
    w *= scale;
    h *= scale;
  }
  const auto cut = [&](double side) {
    const auto whole = static_cast<std::int64_t>(side + 0.5);
    return static_cast<int>(std::max(whole / multiple, std::int64_t{1}) * multiple);
  };
  return {cut(w), cut(h)};
}

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  if (tokenizer == nullptr || tokenizer->empty()) {
    throw Error(ErrorKind::config, "[models] expected a tokenizer; there is none", "",
                "set model.tokenizer or model.vocabulary");
  }
  const Config& config = config_of(settings);
  text::MaskingVocabulary vocabulary;
  if (config.has("mlm")) vocabulary = text::masking_vocabulary(*tokenizer);
  const auto p = std::make_shared<const Preparation>(Preparation{config, tokenizer, vocabulary});
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(config.text.pad_id, 0);
  processor.prepare = [p](const data::Sample& sample, Key key, bool train) {
    return prepare(*p, sample, key, train);
  };
  processor.image = [p](const data::Picture& picture) {
    return images_of(pixels_of(picture, "", p->config.image), p->config);
  };
  processor.text = [p](const std::string& text) {
    return tokens_of(
        p->tokenizer->encode_with_marks(text, static_cast<int>(p->config.text.context_length)));
  };
  return processor;
}

}  // namespace tandem::models::vilt
