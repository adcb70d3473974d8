#include "models/clip/batch.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <cstdint>

#include "models/clip/config.h"
#include "models/processing.h"

namespace tandem::models::clip {

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
  const auto config = std::make_shared<const Config>(config_of(settings));
  const vision::ImageSettings image = config->image_settings();
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(config->text.pad_id, 0);
  processor.prepare = [config, image, tokenizer](const data::Sample& sample, Key key, bool train) {
    expect_pair(sample);
    const data::Picture& picture = sample.pictures[0];
    Batch batch;
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    batch.images =
        images_of(train ? training_view_of(picture, sample.id, image, config->augment, key)
                        : vision::evaluation_view(pixels_of(picture, sample.id, image), image));
    batch.text = tokens_of(tokenizer->encode_with_marks(
        caption_of(sample, key, train), static_cast<int>(config->text.context_length)));
    return batch;
  };
  processor.image = [image](const data::Picture& picture) {
    return images_of(vision::evaluation_view(pixels_of(picture, "", image), image));
  };
  processor.text = [config, tokenizer](const std::string& text) {
    return tokens_of(
        tokenizer->encode_with_marks(text, static_cast<int>(config->text.context_length)));
  };
  return processor;
}

}  // namespace tandem::models::clip
