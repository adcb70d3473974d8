#include "models/albef/batch.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/processing.h"

namespace tandem::models::albef {
namespace {

// [CLS] and the words' tokens, without [SEP].
std::vector<std::int32_t> ids_of(const text::Tokenizer& tokenizer, const TextConfig& config,
                                 const std::string& text) {
  std::vector<std::int32_t> ids =
      tokenizer.encode(config.clean ? clean_caption(text, config.words) : text);
  ids.insert(ids.begin(), static_cast<std::int32_t>(config.cls_id));
  const auto most = static_cast<std::size_t>(config.context_length);
  if (ids.size() > most) ids.resize(most);
  return ids;
}

}  // namespace

std::string clean_caption(const std::string& caption, std::int64_t words) {
  constexpr std::string_view dropped = ",.'!?\"()*#:;~", spaces = " \t\n\r\f\v";
  std::string text;
  for (const char c : caption) {
    if (dropped.find(c) != std::string_view::npos) continue;
    text += c == '-' || c == '/' ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  for (std::size_t at = 0; (at = text.find("<person>", at)) != std::string::npos;) {
    text.replace(at, 8, "person");
  }
  std::string out;
  std::int64_t count = 0;
  for (std::size_t at = 0; count < words;) {
    const std::size_t begin = text.find_first_not_of(spaces, at);
    if (begin == std::string::npos) break;
    at = std::min(text.find_first_of(spaces, begin), text.size());
    if (count++ > 0) out += ' ';
    out.append(text, begin, at - begin);
  }
  return out;
}

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
  const auto config = std::make_shared<const Config>(config_of(settings));
  const auto vocabulary =
      std::make_shared<const text::MaskingVocabulary>(text::masking_vocabulary(*tokenizer));
  const vision::ImageSettings image = config->image_settings();
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(config->text.pad_id, 0);
  processor.prepare = [=](const data::Sample& sample, Key key, bool train) {
    expect_pair(sample);
    const data::Picture& picture = sample.pictures[0];
    Batch batch;
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    batch.images =
        images_of(train ? training_view_of(picture, sample.id, image, config->augment, key)
                        : squeezed(pixels_of(picture, sample.id, image), image));
    const auto ids = ids_of(*tokenizer, config->text, caption_of(sample, key, train));
    batch.text = tokens_of(ids);
    batch.masked = masked_tokens(ids, {.share = config->mask_probability}, *vocabulary, key);
    return batch;
  };
  processor.image = [image](const data::Picture& picture) {
    return images_of(squeezed(pixels_of(picture, "", image), image));
  };
  processor.text = [config, tokenizer](const std::string& text) {
    return tokens_of(ids_of(*tokenizer, config->text, text));
  };
  return processor;
}

}  // namespace tandem::models::albef
