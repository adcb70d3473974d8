// Settings from and to config.json, and samples to batches.

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "models/clip/batch.h"
#include "models/clip/config.h"
#include "tandem/base/error.h"
#include "tandem/models/model.h"

namespace clip_files_test {

using namespace tandem;
using namespace tandem::models;
using nlohmann::json;

namespace {

const Family& table_entry() { return family("clip"); }

std::string refusal(const std::string& text) {
  try {
    clip::from_config_json(text);
  } catch (const Error& error) {
    return error.kind() == ErrorKind::config ? error.what() : "wrong kind";
  }
  return "accepted";
}

std::shared_ptr<const text::Tokenizer> make_tokenizer() {
  const std::vector<std::string> lines{"a red square", "a blue circle", "two red circles"};
  return std::make_shared<text::Tokenizer>(text::train_bpe(lines, 600, text::BpeKind::clip));
}

data::Sample make_sample() {
  data::Sample sample;
  sample.id = "sample 7";
  sample.picture_id = 7;
  data::Picture picture;
  picture.pixels = vision::make_image(40, 30);
  for (std::size_t i = 0; i < picture.pixels.rgb.size(); ++i) {
    picture.pixels.rgb[i] = static_cast<std::uint8_t>(i * 31 % 251);
  }
  sample.pictures.push_back(picture);
  sample.texts = {"a red square", "a blue circle", "two red circles"};
  return sample;
}

}  // namespace

TEST_CASE("families are found by name and by the class in config.json") {
  CHECK(table_entry().name == "clip");
  REQUIRE(family_of_architecture("CLIPModel") != nullptr);
  CHECK(family_of_architecture("NoModel") == nullptr);
  CHECK_THROWS_AS(family("klip"), Error);
}

TEST_CASE("an empty config.json has the defaults of transformers") {
  const auto settings = clip::from_config_json("{}");
  const clip::Config& c = clip::config_of(*settings);
  CHECK(c.vision.width == 768);
  CHECK(c.vision.hidden() == 3072);
  CHECK(c.text.heads == 8);
  CHECK(c.text.vocab_size == 49408);
  CHECK(c.text.eos_id == 49407);
  CHECK(c.text.pooling == "first_eos");
  CHECK(c.embed_dim == 512);
}

TEST_CASE("settings survive config.json, whatever they are") {
  auto settings = table_entry().settings();
  auto& c = dynamic_cast<clip::Config&>(*settings);
  c.vision.width = 64;
  c.vision.layers = 3;
  c.vision.heads = 4;
  c.vision.mlp = 100;
  c.vision.activation = "gelu";
  c.vision.layer_norm_eps = 1e-6;
  c.vision.image_size = 48;
  c.vision.patch_size = 12;
  c.text.heads = 2;
  c.text.layer_norm_eps = 1e-4;
  c.text.context_length = 20;
  c.text.vocab_size = 300;
  c.text.bos_id = 298;
  c.text.eos_id = 299;
  c.text.pad_id = 0;
  c.embed_dim = 24;
  c.logit_scale_init = 1.5;
  const std::string text = clip::to_config_json(c);
  const auto read = clip::from_config_json(text);
  CHECK(clip::to_config_json(*read) == text);
  const clip::Config& r = clip::config_of(*read);
  CHECK(r.vision.mlp == 100);
  CHECK(r.vision.activation == "gelu");
  CHECK(r.text.layer_norm_eps == 1e-4);
  CHECK(r.text.pad_id == 0);
  CHECK(r.vision.grid() == 4);
}

TEST_CASE("an end mark of 2 means pooling at the largest id, both ways") {
  const auto read = clip::from_config_json(R"({"text_config": {"eos_token_id": 2}})");
  CHECK(clip::config_of(*read).text.pooling == "argmax");
  CHECK(json::parse(clip::to_config_json(*read))["text_config"]["eos_token_id"] == 2);
}

TEST_CASE("the second of two text configs wins, as in transformers") {
  const auto read = clip::from_config_json(
      R"({"text_config": {"hidden_size": 64}, "text_config_dict": {"hidden_size": 128}})");
  CHECK(clip::config_of(*read).text.width == 128);
}

TEST_CASE("a config.json that cannot be meant is refused with its path") {
  CHECK(refusal("{").find("config.json") != std::string::npos);
  CHECK(refusal("[]").find("JSON map") != std::string::npos);
  const std::vector<std::pair<std::string, std::string>> wrong{
      {R"({"vision_config": 3})", "vision_config"},
      {R"({"vision_config": {"hidden_size": "wide"}})", "vision_config.hidden_size"},
      {R"({"vision_config": {"hidden_size": 1.5}})", "vision_config.hidden_size"},
      {R"({"vision_config": {"hidden_size": 18446744073709551615}})", "vision_config.hidden_size"},
      {R"({"vision_config": {"num_hidden_layers": 0}})", "vision_config.num_hidden_layers"},
      {R"({"vision_config": {"num_attention_heads": 7}})", "vision.heads"},
      {R"({"vision_config": {"image_size": [224, 225]}})", "vision_config.image_size"},
      {R"({"vision_config": {"image_size": 16}})", "vision.patch_size"},
      {R"({"vision_config": {"num_channels": 4}})", "num_channels"},
      {R"({"text_config": {"hidden_act": "relu"}})", "text_config.hidden_act"},
      {R"({"text_config": {"layer_norm_eps": 0}})", "text_config.layer_norm_eps"},
      {R"({"text_config": {"eos_token_id": 50000}})", "text.eos_id"},
      {R"({"projection_dim": -1})", "projection_dim"}};
  for (const auto& [text, path] : wrong) {
    CAPTURE(text);
    CHECK(refusal(text).find(path) != std::string::npos);
  }
}

TEST_CASE("preprocessor_config.json is written and read back") {
  auto settings = table_entry().settings();
  auto& c = dynamic_cast<clip::Config&>(*settings);
  c.image.mean = {0.5, 0.4, 0.3};
  c.image.interpolation = "bilinear";
  const auto files = clip::processor_files(c);
  REQUIRE(files.size() == 1);
  CHECK(files[0].first == "preprocessor_config.json");
  CHECK(json::parse(files[0].second)["crop_size"]["height"] == 224);
  auto again = table_entry().settings();
  clip::read_processor_file(*again, files[0].second);
  CHECK(clip::config_of(*again).image.mean == c.image.mean);
  CHECK(clip::config_of(*again).image.interpolation == "bilinear");
  for (const char* text :
       {"[", R"({"image_mean": [1, 2]})", R"({"image_std": [1, 0, 1]})", R"({"resample": 0})"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(clip::read_processor_file(*again, text), Error);
  }
}

TEST_CASE("a tokenizer fills in what the settings left open") {
  const auto tokenizer = make_tokenizer();
  auto settings = table_entry().settings();
  clip::fit_vocabulary(*settings, *tokenizer);
  const auto& text = clip::config_of(*settings).text;
  CHECK(text.vocab_size == tokenizer->vocab_size());
  CHECK(text.eos_id == *tokenizer->id_of("<|endoftext|>"));
  CHECK(text.bos_id == *tokenizer->id_of("<|startoftext|>"));
  auto small = table_entry().settings();
  dynamic_cast<clip::Config&>(*small).text.vocab_size = 10;
  CHECK_THROWS_AS(clip::fit_vocabulary(*small, *tokenizer), Error);
}

TEST_CASE("a sample becomes a picture of bytes and the ids of one caption") {
  const auto tokenizer = make_tokenizer();
  auto settings = table_entry().settings();
  auto& c = dynamic_cast<clip::Config&>(*settings);
  c.vision.image_size = 16;
  c.text.context_length = 8;
  clip::fit_vocabulary(c, *tokenizer);
  const Processor processor = clip::make_processor(c, tokenizer);
  CHECK(processor.pad_id == c.text.eos_id);
  const data::Sample sample = make_sample();
  const Batch fixed = processor.prepare(sample, Key(1), false);
  CHECK(fixed.images->pixels.sizes() == at::IntArrayRef({1, 3, 16, 16}));
  CHECK(fixed.images->pixels.scalar_type() == at::kByte);
  CHECK(fixed.picture_ids.item<std::int64_t>() == 7);
  CHECK(at::equal(fixed.text->ids, processor.text("a red square").ids));
  CHECK(at::equal(fixed.images->pixels, processor.image(sample.pictures[0]).pixels));
  CHECK(at::equal(fixed.text->ids, processor.prepare(sample, Key(2), false).text->ids));

  std::set<std::string> captions;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const Batch batch = processor.prepare(sample, Key(i), true);
    std::string ids;
    for (std::int64_t t = 0; t < batch.text->ids.size(1); ++t) {
      ids += std::to_string(batch.text->ids[0][t].item<std::int64_t>()) + " ";
    }
    captions.insert(ids);
    CHECK(at::equal(batch.images->pixels, processor.prepare(sample, Key(i), true).images->pixels));
  }
  CHECK(captions.size() == 3);

  const Tokens cut = processor.text("a red square a red square a red square");
  CHECK(cut.ids.size(1) == 8);
  CHECK(cut.ids[0][7].item<std::int64_t>() == c.text.eos_id);
}

TEST_CASE("a sample without a picture or a caption is a bad sample") {
  auto settings = table_entry().settings();
  const auto tokenizer = make_tokenizer();
  clip::fit_vocabulary(*settings, *tokenizer);
  const Processor processor = clip::make_processor(*settings, tokenizer);
  data::Sample no_text = make_sample(), no_picture = make_sample(), empty = make_sample();
  no_text.texts.clear();
  no_picture.pictures.clear();
  empty.pictures[0].pixels = {};
  for (const auto& sample : {no_text, no_picture, empty}) {
    try {
      processor.prepare(sample, Key(1), true);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::data);
      CHECK(error.where() == "sample 7");
    }
  }
  CHECK_THROWS_AS(clip::make_processor(*settings, nullptr), Error);
}

}  // namespace clip_files_test
