#include "models/vlmo/batch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "models/vlmo/config.h"
#include "tandem/base/error.h"
#include "tandem/vision/resize.h"

namespace tandem::models::vlmo {
namespace {

vision::Image pixels_of(const data::Picture& picture, const std::string& where,
                        const vision::ImageSettings& settings) {
  if (!picture.encoded.empty()) return vision::decode(picture.encoded, where, settings);
  if (picture.pixels.empty()) {
    throw Error(ErrorKind::data, "[prepare] expected a picture; got an empty one", where);
  }
  return picture.pixels;
}

// The original evaluates on the whole picture, squeezed into a square.
vision::Image squeezed(const vision::Image& image, const vision::ImageSettings& settings) {
  const auto side = static_cast<int>(settings.size);
  if (image.width == side && image.height == side) return image;
  return vision::resize(image, side, side, vision::filter_of(settings));
}

Images images_of(const vision::Image& view) {
  const at::Tensor pixels = at::empty({1, 3, view.height, view.width}, at::kByte);
  vision::write_chw(view, std::span(pixels.mutable_data_ptr<std::uint8_t>(), view.rgb.size()));
  return {pixels};
}

template <class T>
at::Tensor row_of(const std::vector<T>& values, at::ScalarType type = at::kLong) {
  at::Tensor row = at::empty({1, static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), row.mutable_data_ptr<std::int64_t>());
  return row.to(type);
}

Tokens tokens_of(const std::vector<std::int32_t>& ids) {
  Tokens tokens;
  tokens.ids = row_of(ids);
  tokens.mask = at::ones_like(tokens.ids);
  return tokens;
}

struct Preparation {
  std::shared_ptr<const Config> config;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  text::MaskingVocabulary vocabulary{};  // with the part mlm
  vision::ImageSettings image;

  std::vector<std::int32_t> ids_of(const std::string& text) const {
    return tokenizer->encode_with_marks(text, static_cast<int>(config->context_length));
  }

  void add_picture(Batch& batch, const data::Sample& sample, Key key, bool train) const {
    const vision::Image pixels = pixels_of(sample.pictures[0], sample.id, image);
    batch.images = images_of(train ? vision::training_view(pixels, image, config->augment, key)
                                   : squeezed(pixels, image));
    if (!config->parts.mim) return;
    batch.images->hidden = row_of(
        vision::mask_blocks(config->grid(), config->grid(), config->patch_masking, key), at::kByte);
  }

  void add_text(Batch& batch, const data::Sample& sample, Key key, bool train) const {
    const std::uint64_t caption =
        train ? Random(key.fold("caption")).below(sample.texts.size()) : 0;
    const std::vector<std::int32_t> ids = ids_of(sample.texts[caption]);
    batch.text = tokens_of(ids);
    if (!config->parts.mlm) return;
    const text::MaskedText masked = text::mask_tokens(ids, config->masking, vocabulary, key);
    batch.masked = tokens_of(masked.ids);
    batch.masked->labels = row_of(masked.labels);
  }

  Batch operator()(const data::Sample& sample, Key key, bool train) const {
    if (sample.pictures.empty() && sample.texts.empty()) {
      throw Error(ErrorKind::data, "[prepare] expected a picture or a text; got neither",
                  sample.id);
    }
    Batch batch;
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    if (!sample.pictures.empty()) add_picture(batch, sample, key, train);
    if (!sample.texts.empty()) add_text(batch, sample, key, train);
    return batch;
  }
};

}  // namespace

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  if (tokenizer == nullptr || tokenizer->empty()) {
    throw Error(ErrorKind::config, "[models] expected a tokenizer; there is none", "",
                "set model.tokenizer or model.vocabulary");
  }
  Preparation prepare{std::make_shared<const Config>(config_of(settings)), tokenizer, {}, {}};
  prepare.image = prepare.config->image_settings();
  if (prepare.config->parts.mlm) prepare.vocabulary = text::masking_vocabulary(*tokenizer);
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(prepare.config->pad_id, 0);
  processor.image = [image = prepare.image](const data::Picture& picture) {
    return images_of(squeezed(pixels_of(picture, "", image), image));
  };
  processor.text = [prepare](const std::string& text) { return tokens_of(prepare.ids_of(text)); };
  processor.prepare = std::move(prepare);
  return processor;
}

}  // namespace tandem::models::vlmo
