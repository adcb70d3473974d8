#include "models/qwen_vl/batch.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "models/dialogue.h"
#include "models/processing.h"
#include "tandem/base/error.h"
#include "tandem/data/best_answer.h"
#include "tandem/data/check.h"
#include "tandem/text/boxes.h"

namespace tandem::models::qwen_vl {
namespace {

struct Rules {
  Config config;
  DialogueRule dialogue;
  PlaceIds place;
  DialogueView view;

  std::vector<text::Turn> turns(const data::Sample& sample, Key key, bool train) const {
    return config.format == "chat" ? dialogue_turns(sample, key, train)
                                   : pretraining_turns(sample, key, train);
  }
};

Rules rules_of(const Config& config) {
  Rules rules{config, {}, {}, {}};
  rules.view = [image = config.image_settings()](const data::Picture& picture,
                                                 const std::string& where) {
    return squeezed_of(picture, where, image);
  };
  rules.dialogue.chat = config.format == "chat" ? "qwen_vl" : "continued";
  if (!config.system.empty()) rules.dialogue.system = config.system;
  rules.dialogue.max_tokens = config.sample_tokens();
  std::vector<std::int64_t> ids(static_cast<std::size_t>(config.picture_tokens()),
                                config.image_pad());
  ids.insert(ids.begin(), config.image_start);
  ids.push_back(config.image_end());
  rules.place = same_places(std::move(ids));
  return rules;
}

bool has_boxes(const data::Sample& sample) {
  return sample.turns.empty() && sample.question.empty() && !sample.boxes.empty() &&
         !sample.texts.empty() && sample.pictures.size() == 1;
}

// A phrase and where it is.
bool is_grounded(const data::Sample& sample) {
  return has_boxes(sample) && sample.box_names.empty();
}

// A caption and where the things are that it names.
bool has_named_boxes(const data::Sample& sample) {
  return has_boxes(sample) && sample.box_names.size() == sample.boxes.size();
}

// Words in a picture and where they stand, of which nothing else is said.
bool is_read(const data::Sample& sample) {
  return sample.turns.empty() && sample.question.empty() && sample.texts.empty() &&
         !sample.boxes.empty() && sample.box_names.size() == sample.boxes.size() &&
         sample.pictures.size() == 1;
}

// Width and height of a picture as it is stored, in whose pixels boxes are. From its header: of a
// picture that is only counted, the first bytes are all there is.
std::array<double, 2> sides_of(const data::Sample& sample) {
  const data::PictureFacts facts = data::facts_of(sample.pictures[0], sample.id);
  return {static_cast<double>(facts.width), static_cast<double>(facts.height)};
}

// The caption with each name, where it first stands, as a phrase with all boxes of that name; names
// that the caption does not hold are left out.
std::string grounded_caption(const data::Sample& sample, std::string caption) {
  const auto [width, height] = sides_of(sample);
  std::map<std::size_t, std::pair<std::size_t, std::string>>
      marks;  // place -> length, in its stead
  for (std::size_t i = 0; i < sample.boxes.size(); ++i) {
    const std::string& name = sample.box_names[i];
    const std::size_t at = name.empty() ? std::string::npos : caption.find(name);
    if (at == std::string::npos) continue;
    auto& [length, words] = marks[at];
    if (words.empty()) words = text::marked_phrase(name);
    const data::Box& box = sample.boxes[i];
    words += text::marked_box({box.x0, box.y0, box.x1, box.y1}, width, height);
    length = name.size();
  }
  for (auto mark = marks.rbegin(); mark != marks.rend(); ++mark) {
    caption.replace(mark->first, mark->second.first, mark->second.second);
  }
  return caption;
}

std::string read_words(const data::Sample& sample) {
  const auto [width, height] = sides_of(sample);
  std::string words;
  for (std::size_t i = 0; i < sample.boxes.size(); ++i) {
    const data::Box& b = sample.boxes[i];
    words += text::marked_phrase(sample.box_names[i]);
    words += text::marked_quad({{{b.x0, b.y0}, {b.x1, b.y0}, {b.x1, b.y1}, {b.x0, b.y1}}}, width,
                               height);
  }
  return words;
}

std::string boxes_of(const data::Sample& sample) {
  const auto [width, height] = sides_of(sample);
  std::string words;
  for (const data::Box& box : sample.boxes) {
    words += text::marked_box({box.x0, box.y0, box.x1, box.y1}, width, height);
  }
  return words;
}

}  // namespace

std::vector<text::Turn> pretraining_turns(const data::Sample& sample, Key key, bool train) {
  if (!sample.turns.empty()) return sample.turns;
  if (is_grounded(sample)) {
    return {shown_with(sample, text::marked_phrase(sample.texts[0])), reply_of(boxes_of(sample))};
  }
  if (!sample.question.empty()) {
    return {shown_with(sample, sample.question + " Answer:"),
            reply_of(" " + data::best_answer(sample))};
  }
  if (is_read(sample)) {
    return {shown_with(sample, "OCR with grounding:"), reply_of(" " + read_words(sample))};
  }
  if (sample.texts.empty()) {
    throw Error(ErrorKind::data, "[models] expected turns, a question or a caption; got none",
                sample.id);
  }
  const std::string& words = caption_of(sample, key, train);
  if (sample.pictures.empty()) return {{"user", {}}, reply_of(words)};
  if (has_named_boxes(sample)) {
    return {shown_with(sample, "Generate the caption in English with grounding:"),
            reply_of(" " + grounded_caption(sample, words))};
  }
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
    expect_no_verdict(sample);
    return pictured_row(sample,
                        dialogue_tokens(rules->turns(sample, key, train), rules->dialogue,
                                        *tokenizer, rules->place, sample.id),
                        rules->view);
  };
  processor.prompt = [rules, tokenizer](const data::Sample& sample, const std::string& given) {
    const std::string words = request_of(sample, given);
    // A question of the sample's own is written as in training.
    const bool own = words.empty() || words == sample.question;
    const std::vector<text::Turn> turns = own ? asked(rules->turns(sample, Key(0), false))
                                              : std::vector<text::Turn>{shown_with(sample, words)};
    return pictured_row(sample,
                        prompt_tokens(turns, rules->dialogue, *tokenizer, rules->place, sample.id),
                        rules->view);
  };
  processor.packed_losses = {"lm"};
  processor.length = [rules, tokenizer](const data::Sample& sample) {
    return dialogue_length(sample, rules->turns(sample, Key(0), /*train=*/false), rules->dialogue,
                           *tokenizer, rules->place);
  };
  processor.image = [rules](const data::Picture& picture) { return rules->view(picture, ""); };
  processor.decode = words_of(tokenizer);
  return processor;
}

}  // namespace tandem::models::qwen_vl
