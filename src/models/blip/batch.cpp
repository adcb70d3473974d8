#include "models/blip/batch.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "models/answers.h"
#include "models/blip/config.h"
#include "models/processing.h"
#include "tandem/base/error.h"
#include "tandem/objectives/token_loss.h"
#include "tandem/text/words.h"

namespace tandem::models::blip {
namespace {

Tokens encoded(const text::Tokenizer& tokenizer, const std::string& text, std::int64_t length) {
  return tokens_of(tokenizer.encode_with_marks(text, static_cast<int>(length)));
}

std::string cleaned(const Config& config, const std::string& text) {
  if (!config.text.clean) return text;
  return clean_text(text, config.most_words(), config.the_kind() == Kind::answering);
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

std::string clean_text(const std::string& given, std::int64_t words, bool question) {
  constexpr std::string_view marks = ".!\"()*#:;~";
  std::string kept;
  for (const char c : text::lower_case(given)) {
    if (marks.find(c) == std::string_view::npos) {
      kept += c;
    } else if (!question) {
      kept += ' ';
    }
  }
  return first_words(kept, words);
}

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
  const auto read = [config, tokenizer](const std::string& text) {
    return encoded(*tokenizer, cleaned(*config, text), config->text.context_length);
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
      batch.text = read(words_asked(sample, key, train));
      if (train || !sample.answer.empty() || !sample.answers.empty()) {
        add_answers(batch, sample, answer, pad_id);
      }
      return batch;
    }
    expect_pair(sample);
    batch.text =
        prompted(*tokenizer, config->prompt, cleaned(*config, caption_of(sample, key, train)),
                 config->text.context_length);
    return batch;
  };
  processor.image = [image](const data::Picture& picture) {
    return squeezed_of(picture, "", image);
  };
  processor.text = read;
  processor.prompt = [config, image, tokenizer, read](const data::Sample& sample,
                                                      const std::string& words) {
    expect_no_dialogue(sample, words);
    expect_picture(sample);
    Batch batch;
    batch.images = squeezed_of(sample.pictures[0], sample.id, image);
    if (config->the_kind() == Kind::answering) {
      const std::string& question = words.empty() ? sample.question : words;
      if (question.empty()) {
        throw Error(ErrorKind::data, "[prepare] expected a question; got none", sample.id);
      }
      batch.text = read(question);
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
