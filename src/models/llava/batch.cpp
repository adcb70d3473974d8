#include "models/llava/batch.h"

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
  DialogueRule dialogue;
  PlaceIds place;
  DialogueView view;
};

Rules rules_of(const Config& config) {
  Rules rules{config, {}, {}, {}};
  rules.view = [image = config.image_settings(), pads = config.aspect == "pad"](
                   const data::Picture& picture, const std::string& where) {
    const vision::Image pixels = pixels_of(picture, where, image);
    return images_of(vision::evaluation_view(pads ? padded(pixels, image.mean) : pixels, image));
  };
  rules.dialogue.chat = config.chat;
  if (!config.system.empty()) rules.dialogue.system = config.system;
  rules.dialogue.max_tokens = config.max_tokens;
  rules.dialogue.begin = config.language.bos_id;
  std::vector<std::int64_t> ids(static_cast<std::size_t>(config.picture_tokens()), config.image_id);
  if (config.picture_marks) {
    ids.insert(ids.begin(), config.start_id);
    ids.push_back(config.end_id);
  }
  rules.place = same_places(std::move(ids));
  return rules;
}

// Both answers behind one prompt: the pictures stand in the batch once.
Batch preference_row(const data::Sample& sample, const Rules& rules,
                     const text::Tokenizer& tokenizer) {
  PreferenceTokens made = preference_tokens(sample, rules.dialogue, tokenizer, rules.place);
  Batch batch = pictured_row(sample, std::move(made.chosen), rules.view);
  batch.rejected = std::move(made.rejected.tokens);
  return batch;
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
    expect_no_verdict(sample);
    if (!sample.rejected.empty()) return preference_row(sample, *rules, *tokenizer);
    return pictured_row(sample,
                        dialogue_tokens(turns_of(sample, key, train), rules->dialogue, *tokenizer,
                                        rules->place, sample.id),
                        rules->view);
  };
  processor.prompt = [rules, tokenizer](const data::Sample& sample, const std::string& given) {
    const std::string words = request_of(sample, given);
    const auto turns = words.empty() ? asked(turns_of(sample, Key(0), false))
                                     : std::vector<text::Turn>{shown_with(sample, words)};
    return pictured_row(sample,
                        prompt_tokens(turns, rules->dialogue, *tokenizer, rules->place, sample.id),
                        rules->view);
  };
  processor.packed_losses = {"lm", "dpo"};
  processor.length = [rules, tokenizer](const data::Sample& sample) {
    return dialogue_length(sample, turns_of(sample, Key(0), /*train=*/false), rules->dialogue,
                           *tokenizer, rules->place);
  };
  processor.image = [rules](const data::Picture& picture) { return rules->view(picture, ""); };
  processor.decode = words_of(tokenizer);
  return processor;
}

}  // namespace tandem::models::llava
