#include "models/qwen_vl/batch.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>

#include "models/dialogue.h"
#include "models/processing.h"
#include "tandem/base/error.h"
#include "tandem/text/boxes.h"
#include "tandem/vision/decode.h"

namespace tandem::models::qwen_vl {
namespace {

struct Rules {
  Config config;
  vision::ImageSettings image;
  DialogueRule dialogue;
  PlaceIds place;

  Images view(const data::Picture& picture, const std::string& where) const {
    return images_of(squeezed(pixels_of(picture, where, image), image));
  }
  std::vector<text::Turn> turns(const data::Sample& sample, Key key, bool train) const {
    return config.format == "chat" ? dialogue_turns(sample, key, train)
                                   : pretraining_turns(sample, key, train);
  }
};

Rules rules_of(const Config& config) {
  Rules rules{config, config.image_settings(), {}, {}};
  rules.dialogue.chat = config.format == "chat" ? "qwen_vl" : "continued";
  if (!config.system.empty()) rules.dialogue.system = config.system;
  rules.dialogue.max_tokens = config.sample_tokens();
  std::vector<std::int64_t> ids(static_cast<std::size_t>(config.picture_tokens()),
                                config.image_pad());
  ids.insert(ids.begin(), config.image_start);
  ids.push_back(config.image_end());
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
    pixels.push_back(rules.view(sample.pictures[index], sample.id).pixels);
  }
  Images images;
  images.pixels = at::cat(pixels);
  images.rows = at::zeros({images.pixels.size(0)}, at::kLong);
  batch.images = std::move(images);
  return batch;
}

text::Turn shown_with(const data::Sample& sample, const std::string& words) {
  text::Turn turn{"user", {}};
  for (std::size_t i = 0; i < sample.pictures.size(); ++i) {
    turn.parts.push_back(text::picture_part(static_cast<std::int64_t>(i)));
  }
  if (!words.empty()) turn.parts.push_back(text::text_part(words));
  return turn;
}

text::Turn reply_of(std::string words) {
  return {"assistant", {text::text_part(std::move(words))}};
}

bool is_grounded(const data::Sample& sample) {
  return sample.turns.empty() && sample.question.empty() && !sample.boxes.empty() &&
         !sample.texts.empty() && sample.pictures.size() == 1;
}

// Width and height of a picture as it is stored, in whose pixels boxes are.
std::array<double, 2> sides_of(const data::Sample& sample) {
  const data::Picture& picture = sample.pictures[0];
  const vision::Image image =
      picture.encoded.empty() ? picture.pixels : vision::decode(picture.encoded, sample.id);
  return {static_cast<double>(image.width), static_cast<double>(image.height)};
}

std::string boxes_of(const data::Sample& sample) {
  const auto [width, height] = sides_of(sample);
  std::string words;
  for (const data::Box& box : sample.boxes) {
    words += text::marked_box({box.x0, box.y0, box.x1, box.y1}, width, height);
  }
  return words;
}

std::string best_answer(const data::Sample& sample) {
  if (!sample.answer.empty() || sample.answers.empty()) return sample.answer;
  return sample.answers[0].text;
}

}  // namespace

std::vector<text::Turn> pretraining_turns(const data::Sample& sample, Key key, bool train) {
  if (!sample.turns.empty()) return sample.turns;
  if (is_grounded(sample)) {
    return {shown_with(sample, text::marked_phrase(sample.texts[0])), reply_of(boxes_of(sample))};
  }
  if (!sample.question.empty()) {
    return {shown_with(sample, sample.question + " Answer:"), reply_of(" " + best_answer(sample))};
  }
  if (sample.texts.empty()) {
    throw Error(ErrorKind::data, "[models] expected turns, a question or a caption; got none",
                sample.id);
  }
  const std::string& words = caption_of(sample, key, train);
  if (sample.pictures.empty()) return {{"user", {}}, reply_of(words)};
  return {shown_with(sample, "Generate the caption in English:"), reply_of(" " + words)};
}

std::vector<text::Turn> dialogue_turns(const data::Sample& sample, Key key, bool train) {
  if (!is_grounded(sample)) return turns_of(sample, key, train);
  const std::string phrase = text::marked_phrase(sample.texts[0]);
  return {shown_with(sample, phrase), reply_of(phrase + boxes_of(sample))};
}

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
  const auto rules = std::make_shared<const Rules>(rules_of(config_of(settings)));
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(rules->config.eos_id, 0);
  processor.prompt_padding = Padding::left;
  processor.prepare = [rules, tokenizer](const data::Sample& sample, Key key, bool train) {
    return example_of(sample,
                      dialogue_tokens(rules->turns(sample, key, train), rules->dialogue, *tokenizer,
                                      rules->place, sample.id),
                      *rules);
  };
  processor.prompt = [rules, tokenizer](const data::Sample& sample, const std::string& words) {
    // A question of the sample's own is written as in training.
    const bool own = words.empty() || words == sample.question;
    const std::vector<text::Turn> turns = own ? asked(rules->turns(sample, Key(0), false))
                                              : std::vector<text::Turn>{shown_with(sample, words)};
    return example_of(
        sample, prompt_tokens(turns, rules->dialogue, *tokenizer, rules->place, sample.id), *rules);
  };
  processor.image = [rules](const data::Picture& picture) { return rules->view(picture, ""); };
  processor.decode = words_of(tokenizer);
  return processor;
}

}  // namespace tandem::models::qwen_vl
