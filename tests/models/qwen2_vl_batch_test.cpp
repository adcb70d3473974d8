// From samples to patches, places and positions.

#include <ATen/ops/equal.h>

#include <catch2/catch.hpp>
#include <map>

#include "models/qwen2_vl/batch.h"
#include "models/qwen2_vl/model.h"
#include "tandem/base/error.h"
#include "tandem/text/kinds.h"

namespace qwen2_vl_batch_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::models::qwen2_vl;

namespace {

std::shared_ptr<const text::Tokenizer> tokenizer() {
  static const auto made = [] {
    const std::vector<std::string> lines{"where is the red circle", "a blue square on the left",
                                         "You are a helpful assistant.", "system user assistant"};
    return std::make_shared<const text::Tokenizer>(text::train_tokenizer("qwen", lines, 320));
  }();
  return made;
}

Config config_for(Version version) {
  Config config(version);
  config.vision.patch.patch = 4;
  config.text.context_length = 400;
  config.dialogue.min_pixels = 64;
  config.dialogue.max_pixels = 64 * 32;
  fit_vocabulary(config, *tokenizer());
  return config;
}

data::Picture picture(int width, int height, std::uint8_t value = 100) {
  data::Picture made;
  made.pixels = vision::make_image(width, height);
  std::fill(made.pixels.rgb.begin(), made.pixels.rgb.end(), value);
  return made;
}

data::Sample asked_about(std::vector<data::Picture> pictures) {
  data::Sample sample;
  sample.id = "s";
  sample.pictures = std::move(pictures);
  sample.question = "where is the red circle";
  sample.answer = "on the left";
  return sample;
}

std::int64_t count(const at::Tensor& ids, std::int64_t id) {
  return ids.eq(id).sum().item<std::int64_t>();
}

}  // namespace

TEST_CASE("Qwen2-VL: places in the prompt are as many as the tower's tokens, for any resolution") {
  const Config config = config_for(Version::two);
  const Processor processor = make_processor(config, tokenizer());
  const Batch batch =
      processor.prepare(asked_about({picture(24, 8), picture(17, 30)}), Key(1), true);
  REQUIRE(batch.patches);
  const auto grids = grids_of(batch.patches->grid_thw);
  REQUIRE(grids.size() == 2);
  CHECK(grids[0] == vision::Grid{1, 2, 6});
  CHECK(grids[1] == vision::Grid{1, 8, 4});  // 32 x 16 pixels
  CHECK(count(batch.text->ids, config.marks.image) == 3 + 8);
  CHECK(count(batch.text->ids, config.marks.vision_start) == 2);
  CHECK(count(batch.text->ids, config.marks.vision_end) == 2);
  CHECK(batch.patches->patches.sizes() == at::IntArrayRef({12 + 32, 96}));
  CHECK(batch.text->positions.sizes() == at::IntArrayRef({3, 1, batch.text->ids.size(1)}));
  // Places are never learned, the reply and its end mark are.
  CHECK(count(batch.text->labels, config.marks.image) == 0);
  CHECK(count(batch.text->labels, config.marks.end) == 1);
}

TEST_CASE("Qwen2-VL: a prompt ends where the reply begins") {
  const Config config = config_for(Version::two);
  const Processor processor = make_processor(config, tokenizer());
  CHECK(processor.prompt_padding == Padding::left);
  const Batch prompt = processor.prompt(asked_about({picture(16, 16)}), "");
  const Batch whole = processor.prepare(asked_about({picture(16, 16)}), Key(1), false);
  const std::int64_t length = prompt.text->ids.size(1);
  CHECK(length < whole.text->ids.size(1));
  CHECK(at::equal(whole.text->ids.narrow(1, 0, length), prompt.text->ids));
  CHECK(at::equal(whole.text->positions.narrow(2, 0, length), prompt.text->positions));
  CHECK_FALSE(prompt.text->labels.defined());
  const Batch own = processor.prompt(asked_about({picture(16, 16)}), "a blue square");
  CHECK_FALSE(own.text->ids.sizes() == prompt.text->ids.sizes());
}

TEST_CASE("Qwen2.5-VL: a clip is slices of two frames, its time in seconds") {
  const Config config = config_for(Version::two_five);
  const Processor processor = make_processor(config, tokenizer());
  data::Sample sample = asked_about({});
  data::Clip clip;
  clip.fps = 4;
  for (int i = 0; i < 16; ++i) clip.frames.push_back(picture(16, 16));
  sample.clips = {clip};
  const Batch batch = processor.prepare(sample, Key(1), true);
  const auto grids = grids_of(batch.patches->grid_thw);
  REQUIRE(grids.size() == 1);
  CHECK(grids[0].t == 4);  // 4 s at 2 a second, in pairs
  CHECK(count(batch.text->ids, config.marks.video) ==
        vision::tokens_of(grids[0], config.vision.patch.merge));
  // One slice is one second, two positions a second.
  const at::Tensor places = batch.text->ids[0].eq(config.marks.video).nonzero().squeeze(1);
  const at::Tensor times = batch.text->positions[0][0].index_select(0, places);
  CHECK((times.max() - times.min()).item<std::int64_t>() == 6);
}

TEST_CASE("Qwen2.5-VL: in training a clip's rate is drawn from a list by the sample's key") {
  Config config = config_for(Version::two_five);
  config.text.context_length = 2000;
  config.dialogue.rates = {1, 2, 4};
  const Processor processor = make_processor(config, tokenizer());
  data::Sample sample = asked_about({});
  data::Clip clip;
  clip.fps = 4;
  for (int i = 0; i < 32; ++i) clip.frames.push_back(picture(16, 16));
  sample.clips = {clip};
  const auto slices = [&](std::uint64_t key, bool train) {
    const Batch batch = processor.prepare(sample, Key(key), train);
    return grids_of(batch.patches->grid_thw).at(0).t;
  };
  std::map<std::int64_t, int> seen;  // 8 s at 1, 2 and 4 a second, in pairs
  for (std::uint64_t key = 0; key < 60; ++key) {
    ++seen[slices(key, true)];
    CHECK(slices(key, true) == slices(key, true));
  }
  CHECK(seen.size() == 3);
  for (const std::int64_t wanted : {4, 8, 16}) CHECK(seen[wanted] > 5);
  // In evaluation the rate is the config's, and a length is enough for any draw.
  CHECK(slices(1, false) == 8);
  const Config fast = [&] {
    Config made = config;
    made.dialogue.rates = {};
    made.dialogue.frames.fps = 4;
    return made;
  }();
  CHECK(processor.length(sample) == make_processor(fast, tokenizer()).length(sample));
  config.dialogue.rates = {2, 0};
  CHECK(problems(config).size() == 1);
}

TEST_CASE("Qwen2.5-VL: an expression and its box become a dialogue in pixels of what is seen") {
  for (const Version version : {Version::two, Version::two_five}) {
    const Config config = config_for(version);
    const Processor processor = make_processor(config, tokenizer());
    data::Sample sample;
    sample.pictures = {picture(80, 40)};  // seen at 56 x 32 or so
    sample.texts = {"the red circle"};
    sample.boxes = {{40, 20, 80, 40}};
    const Batch batch = processor.prepare(sample, Key(1), true);
    const at::Tensor learned = batch.text->labels.masked_select(batch.text->labels.ge(0));
    std::vector<std::int64_t> ids(learned.const_data_ptr<std::int64_t>(),
                                  learned.const_data_ptr<std::int64_t>() + learned.numel());
    const std::string reply = processor.decode(ids);
    CAPTURE(reply);
    if (version == Version::two) {
      CHECK(reply.find("(500,500),(999,999)") != std::string::npos);
    } else {
      CHECK(reply.find("\"bbox_2d\": [") != std::string::npos);
      CHECK(reply.find("the red circle") != std::string::npos);
    }
  }
}

TEST_CASE("Qwen2-VL: a caption with the box of one thing in it stays a caption") {
  const Config config = config_for(Version::two);
  const Processor processor = make_processor(config, tokenizer());
  data::Sample sample;
  sample.pictures = {picture(16, 16)};
  sample.texts = {"a blue square on the left"};
  const Batch plain = processor.prepare(sample, Key(1), false);
  sample.boxes = {{0, 0, 8, 8}};
  sample.box_names = {"square"};
  CHECK(at::equal(processor.prepare(sample, Key(1), false).text->ids, plain.text->ids));
  CHECK(processor.length(sample) == plain.text->ids.size(1));
  sample.box_names.clear();
  CHECK_FALSE(at::equal(processor.prepare(sample, Key(1), false).text->labels, plain.text->labels));
}

TEST_CASE("Qwen2-VL: both answers of a preference share the pictures") {
  const Config config = config_for(Version::two);
  const Processor processor = make_processor(config, tokenizer());
  data::Sample sample;
  sample.pictures = {picture(16, 16)};
  const text::Turn question{"user", {text::picture_part(0), text::text_part("where is it")}};
  sample.turns = {question, {"assistant", {text::text_part("on the left")}}};
  sample.rejected = {{"assistant", {text::text_part("a red square")}}};
  sample.prompt_turns = 1;
  const Batch batch = processor.prepare(sample, Key(1), true);
  REQUIRE(batch.rejected);
  CHECK(batch.patches->grid_thw.size(0) == 1);
  CHECK(count(batch.text->ids, config.marks.image) ==
        count(batch.rejected->ids, config.marks.image));
  CHECK(batch.rejected->positions.size(2) == batch.rejected->ids.size(1));
}

TEST_CASE("Qwen2-VL: what has no picture for a place, or is too long, is a bad sample") {
  Config config = config_for(Version::two);
  data::Sample sample = asked_about({});
  sample.turns = {{"user", {text::picture_part(0), text::text_part("where")}},
                  {"assistant", {text::text_part("left")}}};
  CHECK_THROWS_AS(make_processor(config, tokenizer()).prepare(sample, Key(1), true), Error);
  config.text.context_length = 12;
  const Processor brief = make_processor(config, tokenizer());
  CHECK_THROWS_AS(brief.prepare(asked_about({picture(32, 32)}), Key(1), true), Error);
  CHECK_THROWS_AS(brief.prompt(asked_about({picture(32, 32)}), ""), Error);
}

TEST_CASE("Qwen2-VL: words alone have no patches") {
  const Config config = config_for(Version::two);
  data::Sample sample;
  sample.texts = {"a blue square on the left"};
  const Batch batch = make_processor(config, tokenizer()).prepare(sample, Key(1), true);
  CHECK_FALSE(batch.patches);
  CHECK(batch.text->positions[0][0][-1].item<std::int64_t>() == batch.text->ids.size(1) - 1);
}

}  // namespace qwen2_vl_batch_test
