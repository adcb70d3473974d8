// From samples to what BLIP-2's language models read and learn: T5's beginning and end, OPT's
// prompt and line end, questions.

#include <ATen/ops/equal.h>

#include <catch2/catch.hpp>
#include <set>

#include "models/blip2/batch.h"
#include "models/blip2/config.h"
#include "support.h"
#include "tandem/objectives/token_loss.h"
#include "tandem/text/kinds.h"

namespace blip2_batch_test {

using namespace tandem;
using namespace tandem::models;

namespace {

using Ids = std::vector<std::int64_t>;

const std::string caption = "a red circle left of a blue square";

std::shared_ptr<const text::Tokenizer> byte_tokenizer() {
  static const auto made = [] {
    const std::vector<std::string> lines(
        2, caption + " Question: what is it Short answer: a photo of\n");
    return std::make_shared<const text::Tokenizer>(text::train_tokenizer("vicuna", lines, 320));
  }();
  return made;
}

blip2::Config writer(const std::string& language) {
  blip2::Config config;
  config.kind = "generation";
  testing::set_picture(config.vision);
  config.language.kind = language;
  config.language.context_length = 128;
  blip2::fit_vocabulary(config, *byte_tokenizer());
  return config;
}

Processor processor_of(const blip2::Config& config) {
  return blip2::make_processor(config, byte_tokenizer());
}

data::Sample captioned_picture() {
  data::Sample sample;
  sample.id = "file.jsonl:3";
  sample.pictures.resize(1);
  sample.pictures[0].pixels = vision::make_image(16, 16);
  sample.texts = {caption};
  return sample;
}

data::Sample asked_picture() {
  data::Sample sample = captioned_picture();
  sample.texts.clear();
  sample.question = "what is it";
  sample.answer = "a circle";
  return sample;
}

Ids row_ids(const at::Tensor& row) {
  const at::Tensor flat = row.contiguous();
  const auto* first = flat.const_data_ptr<std::int64_t>();
  return {first, first + flat.numel()};
}

std::string spelled(const Ids& ids) {
  return byte_tokenizer()->decode(std::vector<std::int32_t>(ids.begin(), ids.end()),
                                  /*keep_special=*/true);
}

// The words before the end mark, which has to be there.
std::string before_end(const Ids& ids, const blip2::Config& config) {
  REQUIRE_FALSE(ids.empty());
  CHECK(ids.back() == config.language.eos_id);
  return spelled(Ids(ids.begin(), ids.end() - 1));
}

Ids learned_ids(const Tokens& tokens) {
  Ids learned;
  const Ids ids = row_ids(tokens.ids), labels = row_ids(tokens.labels);
  REQUIRE(ids.size() == labels.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (labels[i] == objectives::ignored) continue;
    CHECK(labels[i] == ids[i]);
    learned.push_back(ids[i]);
  }
  return learned;
}

}  // namespace

TEST_CASE("BLIP-2, T5: a caption is cut between two words by the key, its end is learned") {
  const blip2::Config config = writer("t5");
  const Processor processor = processor_of(config);
  std::set<std::string> beginnings;
  for (std::uint64_t key = 0; key < 100; ++key) {
    const Batch batch = processor.prepare(captioned_picture(), Key(key), true);
    const std::string begin = before_end(row_ids(batch.text->ids), config);
    const std::string end = before_end(row_ids(batch.answers->ids), config);
    CHECK(begin + " " + end == caption);
    CHECK_FALSE(begin.empty());
    CHECK_FALSE(batch.text->labels.defined());
    CHECK(at::equal(batch.answers->labels, batch.answers->ids));
    CHECK(row_ids(batch.answer_rows) == Ids{0});
    beginnings.insert(begin);
    const Batch again = processor.prepare(captioned_picture(), Key(key), true);
    CHECK(at::equal(again.text->ids, batch.text->ids));
  }
  CHECK(beginnings.size() == 7);  // of eight words, each place
}

TEST_CASE("BLIP-2, T5: evaluation cuts in the middle, a single word is all end") {
  const blip2::Config config = writer("t5");
  const Processor processor = processor_of(config);
  for (const std::uint64_t key : {1U, 2U}) {
    const Batch batch = processor.prepare(captioned_picture(), Key(key), false);
    CHECK(before_end(row_ids(batch.text->ids), config) == "a red circle left");
    CHECK(before_end(row_ids(batch.answers->ids), config) == "of a blue square");
  }
  data::Sample word = captioned_picture();
  word.texts = {"circle"};
  const Batch batch = processor.prepare(word, Key(1), true);
  CHECK(before_end(row_ids(batch.text->ids), config).empty());
  CHECK(before_end(row_ids(batch.answers->ids), config) == "circle");
}

TEST_CASE("BLIP-2, OPT: a caption ends with its line and is learned from the begin mark on") {
  blip2::Config config = writer("opt");
  CHECK(spelled({config.language.eos_id}) == "\n");
  CHECK(config.language.bos_id == byte_tokenizer()->id_of("</s>").value());
  const Batch batch = processor_of(config).prepare(captioned_picture(), Key(1), true);
  CHECK_FALSE(batch.answers.has_value());
  const Ids ids = row_ids(batch.text->ids);
  CHECK(ids.front() == config.language.bos_id);
  CHECK(before_end(Ids(ids.begin() + 1, ids.end()), config) == caption);
  CHECK(learned_ids(*batch.text) == ids);
  config.language.context_length = 5;  // the end mark stays
  const Ids brief =
      row_ids(processor_of(config).prepare(captioned_picture(), Key(1), true).text->ids);
  CHECK(brief.size() == 5);
  CHECK(brief.back() == config.language.eos_id);
}

TEST_CASE("BLIP-2, OPT: a prompt stands before the caption and is not learned") {
  blip2::Config config = writer("opt");
  for (const char* prompt : {"a photo of", "a photo of "}) {
    config.prompt = prompt;
    CAPTURE(prompt);
    const bool blank = config.prompt.ends_with(' ');
    const Batch batch = processor_of(config).prepare(captioned_picture(), Key(1), true);
    const Ids ids = row_ids(batch.text->ids);
    CHECK(before_end(Ids(ids.begin() + 1, ids.end()), config) == "a photo of " + caption);
    CHECK(before_end(learned_ids(*batch.text), config) == (blank ? "" : " ") + caption);
    const Ids asked = row_ids(processor_of(config).prompt(captioned_picture(), "").text->ids);
    CHECK(spelled(Ids(asked.begin() + 1, asked.end())) == prompt);
  }
}

TEST_CASE("BLIP-2: without a prompt a picture's caption is written; a dialogue is refused") {
  data::Sample shown = captioned_picture();
  shown.texts.clear();
  const blip2::Config opt = writer("opt"), t5 = writer("t5");
  CHECK(row_ids(processor_of(opt).prompt(shown, "").text->ids) == Ids{opt.language.bos_id});
  CHECK(row_ids(processor_of(t5).prompt(shown, "").text->ids) == Ids{t5.language.eos_id});
  shown.turns = {{"user", {text::text_part("what is it")}}};
  CHECK_THROWS_WITH(processor_of(opt).prompt(shown, ""), Catch::Contains("got a dialogue"));
  CHECK_NOTHROW(processor_of(opt).prompt(shown, "what is it"));
}

TEST_CASE("BLIP-2: what is asked is not cut where captions are") {
  for (const char* language : {"opt", "t5"}) {
    blip2::Config config = writer(language);
    config.language.context_length = 4;
    const Ids ids = row_ids(processor_of(config).prompt(captioned_picture(), caption).text->ids);
    CHECK(spelled(ids).find(caption) != std::string::npos);
  }
}

TEST_CASE("BLIP-2: a file's words need no rows for marks that its class does not read") {
  const auto fitted = [](const std::string& kind, std::int64_t rows) {
    static const std::vector<std::string> lines{"a red circle", "a blue square"};
    const text::Tokenizer words = text::train_tokenizer("wordpiece", lines, 60);
    blip2::Config config;
    config.kind = kind;
    config.qformer.vocab_size = rows < 0 ? words.vocab_size() : rows;
    blip2::fit_vocabulary(config, words);
    return config.qformer.vocab_size - words.vocab_size();
  };
  CHECK(fitted("retrieval", -1) == 0);
  CHECK_THROWS_WITH(fitted("pretrain", -1), Catch::Contains("qformer.vocab_size"));
  CHECK(fitted("retrieval", 0) == fitted("pretrain", 0));  // one learns what the other did
  CHECK_THROWS_WITH(fitted("retrieval", 5), Catch::Contains("qformer.vocab_size"));
}

TEST_CASE("BLIP-2: a question is asked in its form, and its answer is learned") {
  const std::string form = "Question: what is it Short answer:";
  const blip2::Config opt = writer("opt"), t5 = writer("t5");
  Batch batch = processor_of(opt).prepare(asked_picture(), Key(1), true);
  const Ids ids = row_ids(batch.text->ids);
  CHECK(before_end(Ids(ids.begin() + 1, ids.end()), opt) == form + " a circle");
  CHECK(before_end(learned_ids(*batch.text), opt) == " a circle");
  const Ids prompt = row_ids(processor_of(opt).prompt(asked_picture(), "").text->ids);
  CHECK(prompt == Ids(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(prompt.size())));
  CHECK(spelled(Ids(prompt.begin() + 1, prompt.end())) == form);
  batch = processor_of(t5).prepare(asked_picture(), Key(1), true);
  CHECK(before_end(row_ids(batch.text->ids), t5) == form);
  CHECK(before_end(row_ids(batch.answers->ids), t5) == "a circle");
}

TEST_CASE("BLIP-2: sentences with labels are not learned as captions") {
  data::Sample sample = captioned_picture();
  sample.label = 0;
  for (const char* language : {"opt", "t5"}) {
    const Processor processor = processor_of(writer(language));
    CHECK_THROWS_WITH(processor.prepare(sample, Key(1), true),
                      Catch::Contains("sentence with a label"));
  }
}

}  // namespace blip2_batch_test
