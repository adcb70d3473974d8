#include "models/blip2/batch.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "models/blip2/config.h"
#include "models/processing.h"
#include "tandem/base/hash.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::blip2 {
namespace {

using Ids = std::vector<std::int32_t>;

struct Maker {
  Config config;
  vision::ImageSettings image;
  std::shared_ptr<const text::Tokenizer> tokenizer;

  const LanguageConfig& language() const { return config.language; }
  Ids words(const std::string& text) const { return tokenizer->encode(text); }
};

Tokens encoded(const Maker& m, const std::string& text) {
  return tokens_of(
      m.tokenizer->encode_with_marks(text, static_cast<int>(m.config.qformer.context_length)));
}

void add(Ids& ids, std::int64_t mark) {
  if (mark >= 0) ids.push_back(static_cast<std::int32_t>(mark));
}

// What stands before a text and what is learned of it: a caption behind the prompt, or an answer
// behind its question.
struct Said {
  std::string before, text;
};

std::string asked(const Config& config, const std::string& question) {
  std::string text = config.question;
  const std::size_t place = text.find("{}");
  if (place != std::string::npos) text.replace(place, 2, question);
  return text;
}

Said said_by(const data::Sample& sample, const Config& config, Key key, bool train) {
  if (!sample.question.empty()) return {asked(config, sample.question), sample.answer};
  expect_no_verdict(sample);
  return {config.prompt, caption_of(sample, key, train)};
}

// [bos, before..., text..., eos], cut before eos; only `text` and eos are learned, and bos where
// nothing stands before.
Tokens for_opt(const Maker& m, const Said& said) {
  Ids ids;
  add(ids, m.language().bos_id);
  for (const std::int32_t id : m.words(said.before)) ids.push_back(id);
  const std::size_t unlearned = said.before.empty() ? 0 : ids.size();
  const std::string space = said.before.empty() || said.before.back() == ' ' ? "" : " ";
  for (const std::int32_t id : m.words(space + said.text)) ids.push_back(id);
  const auto most = static_cast<std::size_t>(m.language().context_length - 1);
  if (ids.size() > most) ids.resize(most);
  add(ids, m.language().eos_id);
  Tokens tokens = tokens_of(ids);
  tokens.labels = tokens.ids.clone();
  const auto hidden = static_cast<std::int64_t>(std::min(unlearned, ids.size() - 1));
  tokens.labels.narrow(1, 0, hidden).fill_(objectives::ignored);
  return tokens;
}

Tokens with_end(const Maker& m, const std::string& text) {
  Ids ids = m.words(text);
  const auto most = static_cast<std::size_t>(m.language().context_length - 1);
  if (ids.size() > most) ids.resize(most);
  add(ids, m.language().eos_id);
  return tokens_of(ids);
}

// A caption cut between two words, drawn by key in training (a single word is all end), in the
// middle otherwise.
Said split(const std::string& text, Key key, bool train) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i - 1] == ' ' && text[i] != ' ') starts.push_back(i);
  }
  if (starts.empty()) return {"", text};
  Random random(key.fold("prefix"));
  const std::size_t chosen = train ? random.below(starts.size()) : starts.size() / 2;
  const std::size_t at = starts[std::min(chosen, starts.size() - 1)];
  return {text.substr(0, at - 1), text.substr(at)};
}

void add_texts(const Maker& m, const data::Sample& sample, Key key, bool train, Batch& batch) {
  if (!m.config.writes()) {
    batch.text = encoded(m, caption_of(sample, key, train));
    return;
  }
  Said said = said_by(sample, m.config, key, train);
  if (!m.language().is_t5()) {
    batch.text = for_opt(m, said);
    return;
  }
  if (sample.question.empty() && said.before.empty()) said = split(said.text, key, train);
  batch.text = with_end(m, said.before);
  Tokens end = with_end(m, said.text);
  end.labels = end.ids.clone();
  batch.answers = std::move(end);
  batch.answer_rows = at::zeros({1}, at::kLong);
  batch.answer_weights = at::ones({1}, at::kFloat);
}

// With Config::views, one of so many keys that follow from the picture alone.
Key view_key(const Maker& m, const data::Picture& picture, Key key) {
  if (m.config.views == 0) return key;
  const std::uint64_t view =
      Random(key.fold("view")).below(static_cast<std::uint64_t>(m.config.views));
  const std::vector<std::uint8_t>& bytes =
      picture.encoded.empty() ? picture.pixels.rgb : picture.encoded;
  const std::string hash =
      hash128({reinterpret_cast<const char*>(bytes.data()), bytes.size()}).substr(0, 16);
  return Key(std::stoull(hash, nullptr, 16)).fold("view").fold(view);
}

// A text alone teaches the language model by itself.
Batch prepared(const Maker& m, const data::Sample& sample, Key key, bool train) {
  Batch batch;
  if (!m.config.writes() || !sample.pictures.empty()) {
    expect_picture(sample);
    batch.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    batch.images = view_of(sample.pictures[0], sample.id, m.image, m.config.augment,
                           view_key(m, sample.pictures[0], key), train);
  }
  add_texts(m, sample, key, train, batch);
  return batch;
}

Batch prompted(const Maker& m, const data::Sample& sample, const std::string& words) {
  expect_no_dialogue(sample, words);
  expect_picture(sample);
  Batch batch;
  batch.images = squeezed_of(sample.pictures[0], sample.id, m.image);
  const bool asks = !sample.question.empty() && (words.empty() || words == sample.question);
  const std::string begin = asks            ? asked(m.config, sample.question)
                            : words.empty() ? m.config.prompt
                                            : words;
  if (!m.config.writes()) {
    if (!begin.empty()) batch.text = tokens_of(m.words(begin));
  } else if (m.language().is_t5()) {  // whole, as transformers and the released code have it
    Ids ids = m.words(begin);
    add(ids, m.language().eos_id);
    batch.text = tokens_of(ids);
  } else {
    Ids ids;
    add(ids, m.language().bos_id);
    for (const std::int32_t id : m.words(begin)) ids.push_back(id);
    batch.text = tokens_of(ids);
  }
  return batch;
}

}  // namespace

Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer) {
  expect_tokenizer(tokenizer);
  const Config& config = config_of(settings);
  const auto maker =
      std::make_shared<const Maker>(Maker{config, config.image_settings(), tokenizer});
  Processor processor;
  const std::int64_t pad = config.writes() ? config.language.pad_id : config.qformer.pad_id;
  processor.pad_id = std::max<std::int64_t>(pad, 0);
  processor.prepare = [maker](const data::Sample& sample, Key key, bool train) {
    return prepared(*maker, sample, key, train);
  };
  processor.image = [maker](const data::Picture& picture) {
    return squeezed_of(picture, "", maker->image);
  };
  if (!config.writes()) {
    processor.text = [maker](const std::string& text) { return encoded(*maker, text); };
  }
  processor.prompt = [maker](const data::Sample& sample, const std::string& words) {
    return prompted(*maker, sample, words);
  };
  processor.prompt_padding =
      config.writes() && !config.language.is_t5() ? Padding::left : Padding::right;
  processor.decode = words_of(tokenizer);
  return processor;
}

}  // namespace tandem::models::blip2
