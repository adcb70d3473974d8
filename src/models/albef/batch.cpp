#include "models/albef/batch.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/answers.h"
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
  constexpr std::string_view dropped = ",.'!?\"()*#:;~";
  std::string text;
  for (const char c : caption) {
    if (dropped.find(c) != std::string_view::npos) continue;
    text += c == '-' || c == '/' ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  for (std::size_t at = 0; (at = text.find("<person>", at)) != std::string::npos;) {
    text.replace(at, 8, "person");
  }
  return first_words(text, words);
}

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
  const auto config = std::make_shared<const Config>(config_of(settings));
  const Kind kind = config->the_kind();
  const auto vocabulary = std::make_shared<const text::MaskingVocabulary>(
      kind == Kind::pretrain ? text::masking_vocabulary(*tokenizer) : text::MaskingVocabulary());
  const vision::ImageSettings image = config->image_settings();
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(config->text.pad_id, 0);
  const std::int64_t pad_id = processor.pad_id;
  // As it is written, and [SEP].
  const auto answer = [config, tokenizer](const std::string& text) {
    std::vector<std::int32_t> ids = tokenizer->encode(text);
    ids.insert(ids.begin(), static_cast<std::int32_t>(config->text.cls_id));
    const auto most = static_cast<std::size_t>(config->text.positions - 1);
    if (ids.size() > most) ids.resize(most);
    ids.push_back(static_cast<std::int32_t>(config->text.sep_id));
    return tokens_of(ids);
  };
  processor.prepare = [=](const data::Sample& sample, Key key, bool train) {
    expect_picture(sample);
    const auto view = [&](std::size_t which, Key of_view) {
      return view_of(sample.pictures[which], sample.id, image, config->augment, of_view, train);
    };
    Batch batch;
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    batch.images = view(0, key);
    const auto ids = ids_of(*tokenizer, config->text, words_asked(sample, key, train));
    batch.text = tokens_of(ids);
    if (kind == Kind::pretrain) {
      batch.masked = masked_tokens(ids, {.share = config->mask_probability}, *vocabulary, key);
    }
    if (kind == Kind::answering && (train || !sample.answer.empty() || !sample.answers.empty())) {
      add_answers(batch, sample, answer, pad_id);
    }
    if (kind == Kind::entailment || kind == Kind::reasoning) {
      batch.labels = label_of(sample, config->classes(), train);
    }
    if (kind == Kind::reasoning) {
      expect_pictures(sample, 2);
      batch.second = view(1, key.fold("second"));
    }
    return batch;
  };
  processor.image = [image](const data::Picture& picture) {
    return squeezed_of(picture, "", image);
  };
  if (kind == Kind::answering) {
    processor.prompt = [=](const data::Sample& sample, const std::string& words) {
      expect_picture(sample);
      Batch batch;
      batch.images = squeezed_of(sample.pictures[0], sample.id, image);
      batch.text =
          tokens_of(ids_of(*tokenizer, config->text, words.empty() ? sample.question : words));
      return batch;
    };
    processor.answer = answer;
    processor.decode = words_of(tokenizer);
  }
  processor.text = [config, tokenizer](const std::string& text) {
    return tokens_of(ids_of(*tokenizer, config->text, text));
  };
  return processor;
}

}  // namespace tandem::models::albef
