#include "models/vlmo/batch.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "models/processing.h"
#include "models/vlmo/config.h"
#include "tandem/base/error.h"

namespace tandem::models::vlmo {
namespace {

struct Preparation {
  std::shared_ptr<const Config> config;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  text::MaskingVocabulary vocabulary{};  // with the part mlm
  vision::ImageSettings image;

  std::vector<std::int32_t> ids_of(const std::string& text) const {
    return tokenizer->encode_with_marks(text, static_cast<int>(config->context_length));
  }

  Images view(const data::Sample& sample, std::size_t which, Key key, bool train) const {
    return view_of(sample.pictures[which], sample.id, image, config->augment, key, train);
  }

  void add_picture(Batch& batch, const data::Sample& sample, Key key, bool train) const {
    batch.images = view(sample, 0, key, train);
    if (!config->parts.mim) return;
    batch.images->hidden =
        row_of(vision::mask_blocks(config->grid(), config->grid(), config->patch_masking, key))
            .to(at::kByte);
  }

  void add_text(Batch& batch, const data::Sample& sample, Key key, bool train) const {
    const std::vector<std::int32_t> ids = ids_of(words_asked(sample, key, train));
    batch.text = tokens_of(ids);
    if (!config->parts.mlm) return;
    batch.masked = masked_tokens(ids, config->masking, vocabulary, key);
  }

  // What the sample is judged by, of the model's task.
  void add_truth(Batch& batch, const data::Sample& sample, Key key, bool train) const {
    if (config->parts.vqa || config->parts.nlvr2) expect_picture(sample);
    if (config->parts.vqa) batch.scores = scores_of(sample, config->classes());
    if (!config->parts.nlvr2) return;
    expect_pictures(sample, 2);
    batch.labels = label_of(sample, config->classes(), train);
    batch.second = view(sample, 1, key.fold("second"), train);
  }

  Batch operator()(const data::Sample& sample, Key key, bool train) const {
    const bool speaks = !sample.texts.empty() || !sample.question.empty();
    if (sample.pictures.empty() && !speaks) {
      throw Error(ErrorKind::data, "[prepare] expected a picture or a text; got neither",
                  sample.id);
    }
    Batch batch;
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    if (!sample.pictures.empty()) add_picture(batch, sample, key, train);
    if (speaks) add_text(batch, sample, key, train);
    add_truth(batch, sample, key, train);
    return batch;
  }
};

}  // namespace

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
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
