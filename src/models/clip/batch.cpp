#include "models/clip/batch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "models/clip/config.h"
#include "tandem/base/error.h"

namespace tandem::models::clip {
namespace {

vision::Image pixels_of(const data::Picture& picture, const std::string& where,
                        const vision::ImageSettings& settings) {
  if (!picture.encoded.empty()) return vision::decode(picture.encoded, where, settings);
  if (picture.pixels.empty()) {
    throw Error(ErrorKind::data, "[prepare] expected a picture; got an empty one", where);
  }
  return picture.pixels;
}

Images images_of(const vision::Image& view) {
  const at::Tensor pixels = at::empty({1, 3, view.height, view.width}, at::kByte);
  vision::write_chw(view, std::span(pixels.mutable_data_ptr<std::uint8_t>(), view.rgb.size()));
  return {pixels};
}

Tokens tokens_of(const text::Tokenizer& tokenizer, const std::string& text, std::int64_t length) {
  const auto ids = tokenizer.encode_with_marks(text, static_cast<int>(length));
  Tokens tokens;
  tokens.ids = at::empty({1, static_cast<std::int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), tokens.ids.mutable_data_ptr<std::int64_t>());
  tokens.mask = at::ones_like(tokens.ids);
  return tokens;
}

}  // namespace

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  if (tokenizer == nullptr || tokenizer->empty()) {
    throw Error(ErrorKind::config, "[models] expected a tokenizer; there is none", "",
                "set model.tokenizer or model.vocabulary");
  }
  const auto config = std::make_shared<const Config>(config_of(settings));
  const vision::ImageSettings image = config->image_settings();
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(config->text.pad_id, 0);
  processor.prepare = [config, image, tokenizer](const data::Sample& sample, Key key, bool train) {
    if (sample.pictures.empty() || sample.texts.empty()) {
      throw Error(ErrorKind::data,
                  "[prepare] expected a picture and a caption; got " +
                      std::to_string(sample.pictures.size()) + " and " +
                      std::to_string(sample.texts.size()),
                  sample.id);
    }
    const data::Picture& picture = sample.pictures[0];
    const std::uint64_t caption =
        train ? Random(key.fold("caption")).below(sample.texts.size()) : 0;
    Batch batch;
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    if (train && !picture.encoded.empty()) {
      batch.images =
          images_of(vision::training_view(picture.encoded, sample.id, image, config->augment, key));
    } else {
      const vision::Image pixels = pixels_of(picture, sample.id, image);
      batch.images = images_of(train ? vision::training_view(pixels, image, config->augment, key)
                                     : vision::evaluation_view(pixels, image));
    }
    batch.text = tokens_of(*tokenizer, sample.texts[caption], config->text.context_length);
    return batch;
  };
  processor.image = [image](const data::Picture& picture) {
    return images_of(vision::evaluation_view(pixels_of(picture, "", image), image));
  };
  processor.text = [config, tokenizer](const std::string& text) {
    return tokens_of(*tokenizer, text, config->text.context_length);
  };
  return processor;
}

}  // namespace tandem::models::clip
