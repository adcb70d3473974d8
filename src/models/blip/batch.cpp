#include "models/blip/batch.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <cstdint>

#include "models/answers.h"
#include "models/blip/config.h"
#include "models/processing.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::blip {
namespace {

Tokens encoded(const text::Tokenizer& tokenizer, const std::string& text, std::int64_t length) {
  return tokens_of(tokenizer.encode_with_marks(text, static_cast<int>(length)));
}

// The tokens of `prompt` stand before the caption's and are not learned.
Tokens prompted(const text::Tokenizer& tokenizer, const std::string& prompt,
                const std::string& caption, std::int64_t length) {
  if (prompt.empty()) return encoded(tokenizer, caption, length);
  Tokens tokens = encoded(tokenizer, prompt + caption, length);
  const std::int64_t before = encoded(tokenizer, prompt, length).ids.size(1) - 1;
  tokens.labels = tokens.ids.clone();
  tokens.labels.narrow(1, 0, std::min(before, tokens.ids.size(1))).fill_(objectives::ignored);
  return tokens;
}

}  // namespace

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
  const auto config = std::make_shared<const Config>(config_of(settings));
  const vision::ImageSettings image = config->image_settings();
  Processor processor;
  processor.pad_id = std::max<std::int64_t>(config->text.pad_id, 0);
  const auto answer = [config, tokenizer](const std::string& text) {
    return encoded(*tokenizer, text, config->text.context_length);
  };
  const std::int64_t pad_id = processor.pad_id;
  processor.prepare = [=](const data::Sample& sample, Key key, bool train) {
    expect_picture(sample);
    const auto view = [&](std::size_t which, Key of_view) {
      return view_of(sample.pictures[which], sample.id, image, config->augment, of_view, train);
    };
    Batch batch;
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    batch.images = view(0, key);
    if (config->the_kind() == Kind::reasoning) {
      expect_pictures(sample, 2);
      batch.second = view(1, key.fold("second"));
      batch.labels = label_of(sample, 2, train);
    }
    if (config->the_kind() == Kind::answering) {
      batch.text =
          encoded(*tokenizer, words_asked(sample, key, train), config->text.context_length);
      if (train || !sample.answer.empty() || !sample.answers.empty()) {
        add_answers(batch, sample, answer, pad_id);
      }
      return batch;
    }
    expect_pair(sample);
    batch.text = prompted(*tokenizer, config->prompt, caption_of(sample, key, train),
                          config->text.context_length);
    return batch;
  };
  processor.image = [image](const data::Picture& picture) {
    return squeezed_of(picture, "", image);
  };
  processor.text = [config, tokenizer](const std::string& text) {
    return encoded(*tokenizer, text, config->text.context_length);
  };
  processor.prompt = [config, image, tokenizer](const data::Sample& sample,
                                                const std::string& words) {
    expect_picture(sample);
    Batch batch;
    batch.images = squeezed_of(sample.pictures[0], sample.id, image);
    if (config->the_kind() == Kind::answering) {
      batch.text =
          encoded(*tokenizer, words.empty() ? sample.question : words, config->text.context_length);
      return batch;
    }
    const std::string& begin = words.empty() ? config->prompt : words;
    if (!begin.empty()) batch.text = tokens_of(tokenizer->encode(begin));
    return batch;
  };
  processor.answer = answer;
  processor.decode = words_of(tokenizer);
  return processor;
}

}  // namespace tandem::models::blip
