// Samples laid end to end against the same ones padded, in the models that read packs, and their
// lengths from headers against what is made of them.

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>

#include "models/llava/batch.h"
#include "models/llava/model.h"
#include "models/qwen2_vl/batch.h"
#include "models/qwen2_vl/model.h"
#include "models/qwen_vl/batch.h"
#include "models/qwen_vl/model.h"
#include "small_qwen2_vl.h"
#include "support.h"
#include "tandem/base/error.h"
#include "tandem/base/random.h"
#include "tandem/data/source.h"
#include "tandem/tensor/pack.h"
#include "tandem/text/kinds.h"
#include "tandem/vision/encode.h"

namespace packs_test {

using namespace tandem;
using namespace tandem::models;

namespace {

const LossRequest next_word{.weights = {{"lm", 1}}};
const LossRequest preferred_answer{.weights = {{"dpo", 1}}};

std::shared_ptr<const text::Tokenizer> words_of_kind(const char* kind) {
  const std::vector<std::string> lines{"where is the red circle", "a blue square on the left",
                                       "user assistant system . ?"};
  return std::make_shared<const text::Tokenizer>(text::train_tokenizer(kind, lines, 320));
}

data::Picture picture(int width, int height, int value) {
  data::Picture made;
  made.pixels = vision::make_image(width, height);
  for (std::size_t i = 0; i < made.pixels.rgb.size(); ++i) {
    made.pixels.rgb[i] = static_cast<std::uint8_t>(value + 7 * i);
  }
  return made;
}

data::Sample asked(std::vector<data::Picture> pictures, std::string answer) {
  data::Sample sample;
  sample.id = "file.jsonl:3";
  sample.pictures = std::move(pictures);
  sample.question = "where is the red circle";
  sample.answer = std::move(answer);
  return sample;
}

// Pictures of several sizes, two of them, none; answers of several lengths.
std::vector<data::Sample> samples() {
  return {asked({picture(24, 8, 1)}, "on the left"), asked({}, "a blue square on the left"),
          asked({picture(17, 30, 5), picture(8, 8, 90)}, "left"),
          asked({picture(12, 12, 40)}, "a blue square on the left . the red circle")};
}

llava::Config small_llava(const text::Tokenizer& tokenizer) {
  llava::Config config;
  testing::set_size(config.vision, 12, 2);
  config.vision.image_size = 8;
  config.vision.patch_size = 4;
  testing::set_size(config.language, 16, 2);
  config.language.kv_heads = 1;
  config.language.mlp = 20;
  llava::fit_vocabulary(config, tokenizer);
  return config;
}

// The same prompts with another answer of another length.
std::vector<data::Sample> pairs() {
  std::vector<data::Sample> all = samples();
  const std::vector<std::string> others{"a red square", "left", "on the red left . square", "red"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    data::Sample& sample = all[i];
    text::Turn asks{"user", {}};
    for (std::size_t p = 0; p < sample.pictures.size(); ++p) {
      asks.parts.push_back(text::picture_part(static_cast<std::int64_t>(p)));
    }
    asks.parts.push_back(text::text_part(sample.question));
    sample.turns = {asks, {"assistant", {text::text_part(sample.answer)}}};
    sample.rejected = {{"assistant", {text::text_part(others[i])}}};
    sample.prompt_turns = 1;
  }
  return all;
}

std::vector<Batch> examples_of(const Processor& processor,
                               const std::vector<data::Sample>& samples) {
  std::vector<Batch> examples;
  for (const data::Sample& sample : samples) {
    examples.push_back(processor.prepare(sample, Key(0), false));
    examples.back().positions = {static_cast<std::int64_t>(examples.size())};
  }
  return examples;
}

// The loss of one batch; gradients stay in the parameters.
double learn(Model& model, const Batch& batch, const LossRequest& request) {
  for (auto& [name, parameter] : model.parameters()) {
    if (parameter.grad().defined()) parameter.mutable_grad() = at::Tensor();
  }
  const at::Tensor sum = model.losses(batch, request, {}).begin()->second.sum;
  torch::autograd::backward({sum}, {});
  return sum.item<double>();
}

void expect_packs_like_padded(Model& model, const Processor& processor,
                              const std::vector<data::Sample>& given = samples(),
                              const LossRequest& request = next_word) {
  testing::add_noise(model);
  const std::vector<Batch> examples = examples_of(processor, given);
  const Batch padded = collate(examples, processor.pad_id);
  const double loss = learn(model, padded, request);
  NamedTensors wanted;
  for (auto& [name, parameter] : model.parameters()) {
    wanted.emplace_back(name, parameter.grad().defined() ? parameter.grad().clone() : at::Tensor());
  }
  const Batch packed = pack(examples);
  CHECK(packed.text->ids.size(1) < padded.text->ids.numel());
  CHECK(model.counts(packed, request) == model.counts(padded, request));
  CHECK(learn(model, packed, request) == Approx(loss).epsilon(1e-5));
  std::size_t i = 0;
  for (auto& [name, parameter] : model.parameters()) {
    INFO(name);
    const at::Tensor& one = wanted[i++].second;
    REQUIRE(one.defined() == parameter.grad().defined());
    if (one.defined()) CHECK(at::allclose(parameter.grad(), one, 1e-3, 1e-4));
  }
}

void expect_lengths(const Processor& processor) {
  std::vector<data::Sample> all = samples();
  for (const data::Sample& sample : samples()) {
    if (sample.pictures.empty()) continue;
    data::Sample stored = sample;  // as a file
    for (data::Picture& one : stored.pictures) {
      const std::string bytes = vision::encode_png(one.pixels);
      one.encoded.assign(bytes.begin(), bytes.end());
      one.pixels = {};
    }
    all.push_back(stored);
  }
  for (const data::Sample& sample : all) {
    CHECK(processor.length(sample) == packed_length(processor.prepare(sample, Key(0), false)));
  }
}

void expect_inconsistent_is_named(const Processor& processor) {
  data::Sample sample;
  sample.id = "file.jsonl:3";
  sample.turns = {{"user", {text::picture_part(0), text::picture_part(1)}},
                  {"assistant", {text::text_part("left")}}};
  sample.pictures = {picture(8, 8, 1)};
  try {
    processor.length(sample);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.where() == "file.jsonl:3");
    CHECK(error.message() == "[dialogue] expected a picture for each place; got 1");
  }
}

qwen_vl::Config small_qwen_vl(const text::Tokenizer& tokenizer) {
  qwen_vl::Config config;
  testing::set_size(config.vision, 12, 1);
  config.vision.image_size = 16;
  config.vision.patch_size = 4;
  config.vision.mlp_ratio = 2;
  config.vision.queries = 4;
  testing::set_size(config.language, 24, 2);
  config.language.mlp = 20;
  config.language.seq_length = 400;
  qwen_vl::fit_vocabulary(config, tokenizer);
  return config;
}

// A picture of more bytes than `tandem check` reads of it, an expression and what it means.
data::Sample stored_boxed() {
  data::Sample sample;
  sample.id = "file.jsonl:3";
  sample.texts = {"the red circle"};
  sample.boxes = {{50, 0, 100, 60}};
  vision::Image noise = vision::make_image(100, 120);
  Random random{Key(1)};
  for (std::uint8_t& value : noise.rgb) value = static_cast<std::uint8_t>(random.below(256));
  const std::string bytes = vision::encode_png(noise);
  sample.pictures.resize(1);
  sample.pictures[0].encoded.assign(bytes.begin(), bytes.end());
  return sample;
}

void expect_boxed_length_by_header(const Processor& processor) {
  const data::Sample whole = stored_boxed();
  REQUIRE(whole.pictures[0].encoded.size() > (20 << 10));
  data::Sample start = whole;
  start.pictures[0].encoded.resize(data::Source::peek_bytes);
  const std::int64_t expected = packed_length(processor.prepare(whole, Key(0), false));
  CHECK(processor.length(start) == expected);
  start.boxes = {{0, 0, 30, 60}, {50, 0, 100, 60}};  // as things that a caption names
  start.box_names = {"red", "circle"};
  CHECK_NOTHROW(processor.length(start));
}

}  // namespace

TEST_CASE("Qwen-VL: packs give the loss and the gradients of padded samples, lengths are known") {
  const auto tokenizer = words_of_kind("qwen1");
  const qwen_vl::Config config = small_qwen_vl(*tokenizer);
  qwen_vl::QwenVlModel model(config, Key(1));
  const Processor processor = qwen_vl::make_processor(config, tokenizer);
  expect_packs_like_padded(model, processor);
  expect_lengths(processor);
  expect_inconsistent_is_named(processor);
}

TEST_CASE("a boxed picture is as long by its first bytes as by all of them") {
  const auto first = words_of_kind("qwen1"), second = words_of_kind("qwen");
  qwen_vl::Config config = small_qwen_vl(*first);
  for (const char* format : {"continued", "chat"}) {
    config.format = format;
    expect_boxed_length_by_header(qwen_vl::make_processor(config, first));
  }
  expect_boxed_length_by_header(qwen2_vl::make_processor(
      testing::small_qwen2_vl(qwen2_vl::Version::two_five, *second), second));
}

TEST_CASE("what learns to write refuses sentences with labels") {
  const auto vicuna = words_of_kind("vicuna"), first = words_of_kind("qwen1"),
             second = words_of_kind("qwen");
  const std::vector<Processor> all{
      llava::make_processor(small_llava(*vicuna), vicuna),
      qwen_vl::make_processor(small_qwen_vl(*first), first),
      qwen2_vl::make_processor(testing::small_qwen2_vl(qwen2_vl::Version::two, *second), second)};
  data::Sample sample;
  sample.id = "file.jsonl:3";
  sample.pictures = {picture(16, 16, 1)};
  sample.texts = {"a blue square on the left"};
  for (const Processor& processor : all) {
    sample.label = -1;
    CHECK_NOTHROW(processor.prepare(sample, Key(0), true));
    for (const std::int64_t label : {0, 1}) {
      sample.label = label;
      CHECK_THROWS_WITH(processor.prepare(sample, Key(0), true),
                        Catch::Contains("sentence with a label"));
      CHECK_THROWS_WITH(processor.length(sample), Catch::Contains("sentence with a label"));
      CHECK_NOTHROW(processor.prompt(sample, "where"));
    }
  }
}

TEST_CASE("preferences in packs have the loss and the gradients of padded ones") {
  // The copy is another model than the policy after the noise, and so the loss is not ln 2.
  const auto train_language = [](const Model& model) {
    for (const auto& [name, parameter] : model.parameters()) {
      const bool language = name.starts_with("language_model.") || name.starts_with("model.") ||
                            name.starts_with("lm_head.");
      at::Tensor(parameter).set_requires_grad(language);
    }
  };
  const auto vicuna = words_of_kind("vicuna"), qwen = words_of_kind("qwen");
  llava::Config llava_config = small_llava(*vicuna);
  llava_config.preference.reference = "copy";
  llava::LlavaModel llava_model(llava_config, Key(1));
  train_language(llava_model);
  const Processor of_llava = llava::make_processor(llava_config, vicuna);
  expect_packs_like_padded(llava_model, of_llava, pairs(), preferred_answer);
  for (const auto version : {qwen2_vl::Version::two, qwen2_vl::Version::two_five}) {
    qwen2_vl::Config config = testing::small_qwen2_vl(version, *qwen);
    config.preference.reference = "copy";
    qwen2_vl::Qwen2VlModel model(config, Key(1));
    train_language(model);
    const Processor processor = qwen2_vl::make_processor(config, qwen);
    expect_packs_like_padded(model, processor, pairs(), preferred_answer);
    for (const data::Sample& sample : pairs()) {
      CHECK(processor.length(sample) == packed_length(processor.prepare(sample, Key(0), false)));
    }
  }
}

TEST_CASE("LLaVA: packs give the loss and the gradients of padded samples, lengths are known") {
  const auto tokenizer = words_of_kind("vicuna");
  const llava::Config config = small_llava(*tokenizer);
  llava::LlavaModel model(config, Key(1));
  const Processor processor = llava::make_processor(config, tokenizer);
  expect_packs_like_padded(model, processor);
  expect_lengths(processor);
  expect_inconsistent_is_named(processor);
}

TEST_CASE("Qwen2-VL and Qwen2.5-VL: packs give the loss of padded samples, lengths are known") {
  const auto tokenizer = words_of_kind("qwen");
  for (const auto version : {qwen2_vl::Version::two, qwen2_vl::Version::two_five}) {
    const qwen2_vl::Config config = testing::small_qwen2_vl(version, *tokenizer);
    qwen2_vl::Qwen2VlModel model(config, Key(1));
    const Processor processor = qwen2_vl::make_processor(config, tokenizer);
    expect_packs_like_padded(model, processor);
    expect_lengths(processor);
    expect_inconsistent_is_named(processor);
  }
}

TEST_CASE("Qwen2.5-VL: a clip is as long by its headers as by its frames") {
  const auto tokenizer = words_of_kind("qwen");
  const qwen2_vl::Config config = testing::small_qwen2_vl(qwen2_vl::Version::two_five, *tokenizer);
  const Processor processor = qwen2_vl::make_processor(config, tokenizer);
  data::Sample sample = asked({}, "left");
  data::Clip clip;
  clip.fps = 4;
  for (int i = 0; i < 18; ++i) clip.frames.push_back(picture(20, 13, i));
  sample.clips = {clip};
  CHECK(processor.length(sample) == processor.prepare(sample, Key(0), false).text->ids.size(1));
}

TEST_CASE("Qwen2.5-VL: in a pack of 32,768 tokens every sample has its own positions and loss") {
  const auto tokenizer = words_of_kind("qwen");
  qwen2_vl::Config config = testing::small_qwen2_vl(qwen2_vl::Version::two_five, *tokenizer);
  config.text.context_length = 4096;
  qwen2_vl::Qwen2VlModel model(config, Key(1));
  testing::add_noise(model);
  const Processor processor = qwen2_vl::make_processor(config, tokenizer);
  std::vector<Batch> examples;
  std::int64_t tokens = 0;
  double alone = 0;
  const at::NoGradGuard no_grad;
  for (int i = 0;; ++i) {
    std::string answer;
    for (int word = 0; word < 40 + 61 * (i % 7); ++word) answer += word % 3 ? "left " : "red ";
    const std::vector<data::Picture> shown(static_cast<std::size_t>(i % 3), picture(30, 17, i));
    Batch example = processor.prepare(asked(shown, answer), Key(0), false);
    if (tokens + example.text->ids.size(1) > 32768) break;
    tokens += example.text->ids.size(1);
    example.positions = {i};
    alone += model.losses(example, next_word, {}).at("lm").sum.item<double>();
    examples.push_back(std::move(example));
  }
  CHECK(tokens > 32000);
  const Batch packed = pack(examples);
  REQUIRE(packed.text->ids.size(1) == tokens);
  std::int64_t first = 0;
  for (const Batch& example : examples) {
    const std::int64_t length = example.text->ids.size(1);
    CHECK(at::equal(packed.text->positions.narrow(2, first, length), example.text->positions));
    first += length;
  }
  CHECK(model.losses(packed, next_word, {}).at("lm").sum.item<double>() ==
        Approx(alone).epsilon(1e-5));
}

}  // namespace packs_test
