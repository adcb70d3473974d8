#include "models/llava/batch.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "models/dialogue.h"
#include "models/llava/config.h"
#include "models/processing.h"
#include "tandem/base/error.h"

namespace tandem::models::llava {
namespace {

// The picture in the middle of a square of the statistics' mean.
vision::Image padded(const vision::Image& image, const std::vector<double>& mean) {
  if (image.width == image.height) return image;
  const int side = std::max(image.width, image.height);
  vision::Image square = vision::make_image(side, side);
  std::array<std::uint8_t, 3> fill{};
  for (std::size_t i = 0; i < 3; ++i) fill[i] = static_cast<std::uint8_t>(mean[i] * 255);
  for (std::size_t i = 0; i < square.rgb.size(); ++i) square.rgb[i] = fill[i % 3];
  const auto width = static_cast<std::size_t>(image.width) * 3;
  const int left = (side - image.width) / 2, top = (side - image.height) / 2;
  for (int y = 0; y < image.height; ++y) {
    const auto from = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(y) * width);
    const auto to = (static_cast<std::ptrdiff_t>(y + top) * side + left) * 3;
    std::copy_n(image.rgb.begin() + from, width, square.rgb.begin() + to);
  }
  return square;
}

struct Rules {
  Config config;
  vision::ImageSettings image;
  DialogueRule dialogue;
  PlaceIds place;

  vision::Image view(const data::Picture& picture, const std::string& where) const {
    const vision::Image pixels = pixels_of(picture, where, image);
    return vision::evaluation_view(config.aspect == "pad" ? padded(pixels, image.mean) : pixels,
                                   image);
  }
};

Rules rules_of(const Config& config) {
  Rules rules{config, config.image_settings(), {}, {}};
  rules.dialogue.chat = config.chat;
  if (!config.system.empty()) rules.dialogue.system = config.system;
  rules.dialogue.max_tokens = config.max_tokens;
  rules.dialogue.begin = config.language.bos_id;
  std::vector<std::int64_t> ids(static_cast<std::size_t>(config.picture_tokens()), config.image_id);
  if (config.picture_marks) {
    ids.insert(ids.begin(), config.start_id);
    ids.push_back(config.end_id);
  }
  rules.place = [ids](const text::ChatPiece& piece) {
    if (piece.kind == text::PartKind::clip) {
      throw Error(ErrorKind::data, "[models] expected pictures; got a clip");
    }
    return ids;
  };
  return rules;
}

Batch example_of(const data::Sample& sample, DialogueTokens made, const Rules& rules) {
  Batch batch;
  batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
  batch.text = std::move(made.tokens);
  if (made.pictures.empty()) return batch;
  std::vector<at::Tensor> pixels;
  for (const std::int64_t number : made.pictures) {
    const auto index = static_cast<std::size_t>(number);
    if (index >= sample.pictures.size()) {
      throw Error(ErrorKind::data,
                  "[models] expected a picture for each place; got " +
                      std::to_string(sample.pictures.size()),
                  sample.id);
    }
    pixels.push_back(images_of(rules.view(sample.pictures[index], sample.id)).pixels);
  }
  Images images;
  images.pixels = at::cat(pixels);
  images.rows = at::zeros({images.pixels.size(0)}, at::kLong);
  batch.images = std::move(images);
  return batch;
}

// The sample's pictures and a question of its own.
std::vector<text::Turn> question_of(const data::Sample& sample, const std::string& words) {
  text::Turn turn{"user", {}};
  for (std::size_t i = 0; i < sample.pictures.size(); ++i) {
    turn.parts.push_back(text::picture_part(static_cast<std::int64_t>(i)));
  }
  turn.parts.push_back(text::text_part(words));
  return {turn};
}

}  // namespace

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
  const auto rules = std::make_shared<const Rules>(rules_of(config_of(settings)));
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(rules->config.language.pad_id, 0);
  processor.prompt_padding = Padding::left;
  processor.prepare = [rules, tokenizer](const data::Sample& sample, Key key, bool train) {
    return example_of(sample,
                      dialogue_tokens(turns_of(sample, key, train), rules->dialogue, *tokenizer,
                                      rules->place, sample.id),
                      *rules);
  };
  processor.prompt = [rules, tokenizer](const data::Sample& sample, const std::string& words) {
    const auto turns =
        words.empty() ? asked(turns_of(sample, Key(0), false)) : question_of(sample, words);
    return example_of(
        sample, prompt_tokens(turns, rules->dialogue, *tokenizer, rules->place, sample.id), *rules);
  };
  processor.image = [rules](const data::Picture& picture) {
    return images_of(rules->view(picture, ""));
  };
  processor.decode = words_of(tokenizer);
  return processor;
}

}  // namespace tandem::models::llava
