#include "models/vilt/batch.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <cstdint>

#include "models/processing.h"
#include "models/vilt/config.h"

namespace tandem::models::vilt {
namespace {

// What every sample needs, made once.
struct Preparation {
  Config config;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  text::MaskingVocabulary vocabulary;
};

Images fitted(const vision::Image& image, const Config& c) {
  const auto [width, height] =
      view_size(image.width, image.height, c.image.size > 0 ? c.image.size : c.image_size,
                c.image.multiple > 0 ? c.image.multiple : c.patch_size);
  Images images = images_of(vision::resize(image, width, height, vision::filter_of(c.image)));
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

// Packing wants to know how many there are, on the host.
Tokens counted(Tokens tokens) {
  tokens.lengths = {tokens.ids.size(1)};
  return tokens;
}

Images view(const Preparation& p, const data::Sample& sample, std::size_t which, Key key,
            bool train) {
  vision::Image image = pixels_of(sample.pictures[which], sample.id, p.config.image);
  if (train) image = training_view(std::move(image), p.config.augment, key);
  return fitted(image, p.config);
}

// What the sample is judged by, of the model's task.
void add_truth(const Preparation& p, const data::Sample& sample, Key key, bool train,
               Batch& batch) {
  if (p.config.has("vqa")) batch.scores = scores_of(sample, p.config.classes());
  if (!p.config.has("nlvr2")) return;
  expect_pictures(sample, 2);
  batch.labels = label_of(sample, p.config.classes(), train);
  batch.second = view(p, sample, 1, key.fold("second"), train);
}

// As rows of one length, [N, T].
Tokens rows_of_texts(const Preparation& p, const std::vector<std::string>& texts) {
  std::vector<Batch> rows(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    rows[i].text = counted(tokens_of(
        p.tokenizer->encode_with_marks(texts[i], static_cast<int>(p.config.text.context_length))));
  }
  return collate(rows, padding_of(p.config)).text.value();
}

Batch prepare(const Preparation& p, const data::Sample& sample, Key key, bool train) {
  expect_picture(sample);
  const auto ids = p.tokenizer->encode_with_marks(words_asked(sample, key, train),
                                                  static_cast<int>(p.config.text.context_length));
  Batch batch;
  batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
  batch.images = view(p, sample, 0, key, train);
  batch.text = counted(tokens_of(ids));
  add_truth(p, sample, key, train, batch);
  if (!sample.others.empty()) batch.others = rows_of_texts(p, sample.others);
  if (p.config.has("mlm")) {
    batch.masked =
        counted(masked_tokens(ids, p.config.text.masking, p.vocabulary, key.fold("mlm")));
  }
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
  expect_tokenizer(tokenizer);
  const Config& config = config_of(settings);
  text::MaskingVocabulary vocabulary;
  if (config.has("mlm")) vocabulary = text::masking_vocabulary(*tokenizer);
  const auto p = std::make_shared<const Preparation>(Preparation{config, tokenizer, vocabulary});
  Processor processor;
  processor.pad_id = padding_of(config);
  processor.others = config.others_drawn();
  processor.prepare = [p](const data::Sample& sample, Key key, bool train) {
    return prepare(*p, sample, key, train);
  };
  processor.image = [p](const data::Picture& picture) {
    return fitted(pixels_of(picture, "", p->config.image), p->config);
  };
  processor.text = [p](const std::string& text) {
    return counted(tokens_of(
        p->tokenizer->encode_with_marks(text, static_cast<int>(p->config.text.context_length))));
  };
  return processor;
}

}  // namespace tandem::models::vilt
