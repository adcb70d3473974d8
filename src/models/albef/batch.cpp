#include "models/albef/batch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/text/masking.h"
#include "tandem/vision/resize.h"

namespace tandem::models::albef {
namespace {

vision::Image pixels_of(const data::Picture& picture, const std::string& where,
                        const vision::ImageSettings& settings) {
  if (!picture.encoded.empty()) return vision::decode(picture.encoded, where, settings);
  if (picture.pixels.empty()) {
    throw Error(ErrorKind::data, "[prepare] expected a picture; got an empty one", where);
  }
  return picture.pixels;
}

// The whole picture, squeezed into a square as the original does.
vision::Image square(const vision::Image& image, const vision::ImageSettings& settings) {
  const auto side = static_cast<int>(settings.size);
  return vision::resize(image, side, side, vision::filter_of(settings));
}

Images images_of(const vision::Image& view) {
  const at::Tensor pixels = at::empty({1, 3, view.height, view.width}, at::kByte);
  vision::write_chw(view, std::span(pixels.mutable_data_ptr<std::uint8_t>(), view.rgb.size()));
  Images images;
  images.pixels = pixels;
  return images;
}

template <class Ids>
at::Tensor row_of(const Ids& ids) {
  const at::Tensor row = at::empty({1, static_cast<std::int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), row.mutable_data_ptr<std::int64_t>());
  return row;
}

Tokens tokens_of(const std::vector<std::int32_t>& ids) {
  Tokens tokens;
  tokens.ids = row_of(ids);
  tokens.mask = at::ones_like(tokens.ids);
  return tokens;
}

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

void check(const data::Sample& sample) {
  if (!sample.pictures.empty() && !sample.texts.empty()) return;
  throw Error(ErrorKind::data,
              "[prepare] expected a picture and a caption; got " +
                  std::to_string(sample.pictures.size()) + " and " +
                  std::to_string(sample.texts.size()),
              sample.id);
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
  if (tokenizer == nullptr || tokenizer->empty()) {
    throw Error(ErrorKind::config, "[models] expected a tokenizer; there is none", "",
                "set model.tokenizer or model.vocabulary");
  }
  const auto config = std::make_shared<const Config>(config_of(settings));
  const auto vocabulary =
      std::make_shared<const text::MaskingVocabulary>(text::masking_vocabulary(*tokenizer));
  const vision::ImageSettings image = config->image_settings();
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(config->text.pad_id, 0);
  processor.prepare = [=](const data::Sample& sample, Key key, bool train) {
    check(sample);
    const vision::Image pixels = pixels_of(sample.pictures[0], sample.id, image);
    const std::uint64_t caption =
        train ? Random(key.fold("caption")).below(sample.texts.size()) : 0;
    Batch batch;
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    batch.images = images_of(train ? vision::training_view(pixels, image, config->augment, key)
                                   : square(pixels, image));
    const auto ids = ids_of(*tokenizer, config->text, sample.texts[caption]);
    batch.text = tokens_of(ids);
    const text::MaskedText masked =
        text::mask_tokens(ids, {.share = config->mask_probability}, *vocabulary, key);
    batch.masked = tokens_of(masked.ids);
    batch.masked->labels = row_of(masked.labels);
    return batch;
  };
  processor.image = [image](const data::Picture& picture) {
    return images_of(square(pixels_of(picture, "", image), image));
  };
  processor.text = [config, tokenizer](const std::string& text) {
    return tokens_of(ids_of(*tokenizer, config->text, text));
  };
  return processor;
}

}  // namespace tandem::models::albef
