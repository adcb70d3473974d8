// Facts of Qwen-VL's structure; outputs against the released code are in
// tests/jobs/qwen_vl_verify_test.cpp.

#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "models/qwen_vl/batch.h"
#include "models/qwen_vl/model.h"
#include "models/qwen_vl/weights.h"
#include "tandem/base/error.h"
#include "tandem/models/weights.h"
#include "tandem/text/kinds.h"

namespace qwen_vl_test {

using namespace tandem;
using namespace tandem::models;

namespace {

using Ids = std::vector<std::int64_t>;

constexpr std::int64_t start = 50;  // <img>

qwen_vl::Config tiny() {
  qwen_vl::Config config;
  config.vision.image_size = 16;
  config.vision.patch_size = 4;
  config.vision.width = 16;
  config.vision.layers = 1;
  config.vision.heads = 2;
  config.vision.mlp_ratio = 2;
  config.vision.queries = 4;
  config.language.width = 24;
  config.language.layers = 2;
  config.language.heads = 2;
  config.language.mlp = 20;
  config.language.vocab_size = 60;
  config.language.seq_length = 16;
  config.image_start = start;
  config.eos_id = 58;
  config.stop_id = 59;
  return config;
}

Ids picture() { return {start, start + 2, start + 2, start + 2, start + 2, start + 1}; }

Ids joined(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// Rows padded on the right; every word but the pictures' is learned.
Batch batch_of(const std::vector<Ids>& rows, std::int64_t pictures) {
  std::size_t length = 0;
  for (const Ids& row : rows) length = std::max(length, row.size());
  std::vector<at::Tensor> ids, mask;
  for (Ids row : rows) {
    const auto own = static_cast<std::int64_t>(row.size());
    row.resize(length, 58);
    ids.push_back(at::tensor(row, at::kLong).unsqueeze(0));
    at::Tensor seen = at::ones_like(ids.back());
    seen.narrow(1, own, static_cast<std::int64_t>(length) - own).fill_(0);
    mask.push_back(seen);
  }
  Batch batch;
  batch.text = Tokens{at::cat(ids), at::cat(mask), {}, {}, {}};
  batch.text->labels = batch.text->ids.masked_fill(
      batch.text->mask.eq(0).logical_or(batch.text->ids.ge(start)), -100);
  batch.positions.resize(rows.size());
  if (pictures == 0) return batch;
  at::manual_seed(5);
  batch.images = Images{at::randint(0, 256, {pictures, 3, 16, 16}, at::kByte), {}};
  return batch;
}

struct Pass {
  double sum = 0, count = 0;
  std::map<std::string, at::Tensor> gradients;
};

Pass pass_of(qwen_vl::QwenVlModel& model, const std::vector<Batch>& batches) {
  Pass pass;
  for (const auto& [name, parameter] : model.parameters()) parameter.mutable_grad() = at::Tensor();
  for (const Batch& batch : batches) {
    const LossTerms terms = model.losses(batch, {{{"lm", 1.0}}}, {});
    pass.sum += terms.at("lm").sum.item<double>();
    pass.count += model.counts(batch, {}).at("lm");
    torch::autograd::backward({terms.at("lm").sum}, {});
  }
  for (const auto& [name, parameter] : model.parameters()) {
    if (parameter.grad().defined()) pass.gradients[name] = parameter.grad().clone();
  }
  return pass;
}

at::Tensor logits_of(qwen_vl::QwenVlModel& model, const Batch& batch) {
  std::map<std::string, at::Tensor> inputs{{"input_ids", batch.text->ids},
                                           {"attention_mask", batch.text->mask}};
  if (batch.images) {
    inputs["pixel_values"] = batch.images->pixels.to(at::kFloat) / 255;
  }
  return model.reference_outputs(inputs).at("logits").detach();
}

}  // namespace

TEST_CASE("Qwen-VL: the rotary base grows in steps of doubled lengths") {
  CHECK(qwen_vl::ntk_alpha(2048, 2048) == 1);
  CHECK(qwen_vl::ntk_alpha(700, 2048) == 1);
  CHECK(qwen_vl::ntk_alpha(2049, 2048) == 3);
  CHECK(qwen_vl::ntk_alpha(4096, 2048) == 3);
  CHECK(qwen_vl::ntk_alpha(4097, 2048) == 7);
  CHECK(qwen_vl::ntk_alpha(16384, 2048) == 15);
}

TEST_CASE("Qwen-VL: queries beyond seq_length grow with the logarithm of their position") {
  const auto config = tiny().language;
  const nn::Rotary rotary = qwen_vl::rotary_of(config, 0, 20, 1, true, at::kCPU);
  const at::Tensor scale = rotary.query_scale.flatten();
  CHECK(scale[15].item<double>() == 1);
  CHECK(scale[19].item<double>() == Approx(std::log(20.0) / std::log(16.0)));
  CHECK_FALSE(qwen_vl::rotary_of(config, 0, 16, 1, true, at::kCPU).query_scale.defined());
  CHECK_FALSE(qwen_vl::rotary_of(config, 0, 20, 1, false, at::kCPU).query_scale.defined());
}

TEST_CASE("Qwen-VL: what is hidden twice is gone, what is hidden once is the lowest number") {
  const nn::Mask mask = qwen_vl::released_mask(at::tensor({0, 1, 1, 0}, at::kLong).view({1, 4}), 4);
  const auto lowest = static_cast<double>(std::numeric_limits<float>::lowest());
  CHECK(mask.bias[0][0][0][0].item<double>() == lowest);
  CHECK(mask.bias[0][0][0][1].item<double>() == lowest);
  CHECK(std::isinf(mask.bias[0][0][0][3].item<double>()));
  CHECK(mask.bias[0][0][2][1].item<double>() == 0);
}

TEST_CASE("Qwen-VL: pictures' places, several in a row and none") {
  const Batch batch = batch_of({joined({{3}, picture(), {4}, picture()}), {5, 6, 7}}, 2);
  const at::Tensor inside = qwen_vl::inside_pictures(batch.text->ids, start, start + 1);
  CHECK(inside[0].sum().item<std::int64_t>() == 8);
  CHECK(inside[1].sum().item<std::int64_t>() == 0);
  CHECK_FALSE(inside[0][1].item<bool>());
  CHECK(inside[0][2].item<bool>());
  CHECK_FALSE(inside[0][6].item<bool>());
}

TEST_CASE("Qwen-VL: a wrong number of pictures is refused before anything runs") {
  qwen_vl::QwenVlModel model(tiny(), Key(1));
  const Batch batch = batch_of({joined({{3}, picture(), {4}})}, 2);
  CHECK_THROWS_WITH(model.counts(batch, {}), Catch::Contains("places for 2 pictures; got 4"));
}

TEST_CASE("Qwen-VL: a micro-batch without pictures changes nothing") {
  qwen_vl::QwenVlModel model(tiny(), Key(1));
  model.train(true);
  const Ids shown = joined({{3}, picture(), {4, 9, 8}}), said{5, 6, 7, 11};
  const Pass together = pass_of(model, {batch_of({shown, said}, 1)});
  const Pass apart = pass_of(model, {batch_of({shown}, 1), batch_of({said}, 0)});
  CHECK(apart.sum == Approx(together.sum).epsilon(1e-5));
  CHECK(apart.count == together.count);
  REQUIRE(apart.gradients.size() == together.gradients.size());
  for (const auto& [name, gradient] : together.gradients) {
    INFO(name);
    CHECK(at::allclose(apart.gradients.at(name), gradient, 1e-4, 1e-6));
  }
  const Pass words = pass_of(model, {batch_of({said}, 0)});
  for (const auto& [name, gradient] : words.gradients) {
    CHECK(name.find("visual") == std::string::npos);
  }
  // Words in the places of pictures learn nothing; the marks do.
  const at::Tensor table = together.gradients.at("transformer.wte.weight");
  CHECK(table[start + 2].abs().max().item<double>() == 0);
  CHECK(table[start].abs().max().item<double>() > 0);
}

TEST_CASE("Qwen-VL: the sines of the resampler are no parameter") {
  qwen_vl::QwenVlModel model(tiny(), Key(1));
  const std::string name = "transformer.visual.attn_pool.pos_embed";
  for (const auto& [own, parameter] : model.parameters()) CHECK(own != name);
  REQUIRE(model.buffers().size() == 1);
  CHECK(model.buffers()[0].first == name);
  const at::Tensor table = model.buffers()[0].second;          // [4, 24]
  CHECK(table[1][0].item<double>() == Approx(std::sin(1.0)));  // column 1, row 0
  CHECK(table[1][12].item<double>() == 0);
  CHECK(table[2][12].item<double>() == Approx(std::sin(1.0)));
  CHECK(table[0][6].item<double>() == 1);
}

TEST_CASE("Qwen-VL: long texts are read otherwise in evaluation only") {
  qwen_vl::Config config = tiny();
  config.language.init_std = 0.3;
  qwen_vl::QwenVlModel longer(config, Key(1));
  config.language.dynamic_ntk = config.language.logn = false;
  qwen_vl::QwenVlModel plain(config, Key(1));
  Ids said;
  for (std::int64_t i = 0; i < 30; ++i) said.push_back(i);
  const Batch batch = batch_of({said}, 0);
  longer.train(false);
  plain.train(false);
  CHECK_FALSE(at::allclose(logits_of(longer, batch), logits_of(plain, batch), 1e-4, 1e-6));
  longer.train(true);
  CHECK(at::equal(logits_of(longer, batch), logits_of(plain, batch)));
}

TEST_CASE("Qwen-VL: a reply written with the cache is the likeliest one without it") {
  qwen_vl::Config config = tiny();
  config.language.dynamic_ntk = false;  // whose base is the prompt's
  config.language.init_std = 0.3;
  qwen_vl::QwenVlModel model(config, Key(4));
  model.train(false);
  // The second prompt is padded on the left; beyond 16 tokens logn acts.
  Batch batch =
      batch_of({joined({{3, 5}, picture(), {4, 6, 2}}), joined({{7}, picture(), {8}})}, 2);
  const at::Tensor second = batch.text->ids[1].clone();
  batch.text->ids[1] = at::cat({second.narrow(0, 8, 3), second.narrow(0, 0, 8)});
  batch.text->mask[1] = at::cat({at::zeros({3}, at::kLong), at::ones({8}, at::kLong)});
  GenerateOptions options;
  options.max_length = 12;
  const auto replies = model.abilities().generate(batch, options);
  REQUIRE(replies.size() == 2);
  Batch grown = batch;
  for (std::size_t step = 0; step < 12; ++step) {
    std::map<std::string, at::Tensor> inputs{
        {"input_ids", grown.text->ids},
        {"attention_mask", grown.text->mask},
        {"pixel_values",
         nn::normalize_pixels(batch.images->pixels, {{0.48145466, 0.4578275, 0.40821073},
                                                     {0.26862954, 0.26130258, 0.27577711}})}};
    const at::Tensor next = model.reference_outputs(inputs).at("logits").select(1, -1).argmax(1);
    for (std::size_t row = 0; row < 2; ++row) {
      if (step < replies[row].size()) {
        CHECK(next[static_cast<std::int64_t>(row)].item<std::int64_t>() == replies[row][step]);
      }
    }
    grown.text->ids = at::cat({grown.text->ids, next.unsqueeze(1)}, 1);
    grown.text->mask = at::cat({grown.text->mask, at::ones({2, 1}, at::kLong)}, 1);
  }
}

TEST_CASE("Qwen-VL: config.json goes both ways") {
  const qwen_vl::Config config = tiny();
  const auto read = qwen_vl::from_config_json(qwen_vl::to_config_json(config));
  CHECK(qwen_vl::to_config_json(*read) == qwen_vl::to_config_json(config));
  const auto& own = qwen_vl::config_of(*read);
  CHECK(own.language.mlp == 20);
  CHECK(own.image_start == start);
  CHECK_FALSE(own.language.bias);
  const auto released = qwen_vl::from_config_json(
      R"({"hidden_size": 4096, "visual": {"output_dim": 4096, "image_start_id": 151857}})");
  const auto& theirs = qwen_vl::config_of(*released);
  CHECK(theirs.vision.queries == 256);
  CHECK(theirs.vision.hidden() == 8192);
  CHECK(theirs.language.mlp == 11008);
  CHECK(theirs.resampler_heads() == 32);
  for (const char* wrong :
       {R"({"kv_channels": 64, "visual": {"output_dim": 4096}})", R"({"rotary_pct": 0.5})",
        R"({"visual": {"output_dim": 1024}})", R"({"hidden_size": -1})", "[]"}) {
    INFO(wrong);
    CHECK_THROWS_AS(qwen_vl::from_config_json(wrong), Error);
  }
}

TEST_CASE("Qwen-VL: how samples are written and pictures made is in config.json, too") {
  qwen_vl::Config config = tiny();
  config.format = "continued";
  config.system = "Be brief.";
  config.max_tokens = 12;
  config.image.mean = {0.5, 0.25, 0.125};
  config.image.interpolation = "bilinear";
  const auto read = qwen_vl::from_config_json(qwen_vl::to_config_json(config));
  const auto& own = qwen_vl::config_of(*read);
  CHECK(own.format == "continued");
  CHECK(own.system == "Be brief.");
  CHECK(own.max_tokens == 12);
  CHECK(own.image.mean == config.image.mean);
  CHECK(own.image.interpolation == "bilinear");
  CHECK(own.eos_id == 58);
  CHECK(own.stop_id == 59);
  CHECK_THROWS_WITH(
      qwen_vl::from_config_json(R"({"visual": {"output_dim": 4096}, "tandem": {"format": "x"}})"),
      Catch::Contains("tandem.format"));
}

TEST_CASE("Qwen-VL: a head of its own in the file is the model's, also where they should be one") {
  qwen_vl::Config config = tiny();
  config.language.tied = true;
  Weights weights{{"transformer.wte.weight", at::ones({60, 24})}};
  qwen_vl::fit_weights(config, weights);
  CHECK(config.language.tied);
  weights["lm_head.weight"] = at::ones({60, 24});
  qwen_vl::fit_weights(config, weights);
  CHECK(config.language.tied);
  weights["lm_head.weight"] = at::zeros({60, 24});
  qwen_vl::fit_weights(config, weights);
  CHECK_FALSE(config.language.tied);
}

TEST_CASE("Qwen-VL: what older files hold beside the weights is dropped") {
  const qwen_vl::Config config = tiny();
  qwen_vl::QwenVlModel model(config, Key(1));
  Weights weights;
  for (const auto& [name, value] : model.parameters()) weights["module." + name] = value.detach();
  for (const auto& [name, value] : model.buffers()) weights["module." + name] = value;
  weights["module.transformer.rotary_emb.inv_freq"] = at::ones({6});
  weights["module.transformer.h.0.attn.masked_bias"] = at::ones({});
  CHECK_NOTHROW(assign_weights(model, qwen_vl::import_weights(weights, config)));
}

namespace {

std::shared_ptr<const text::Tokenizer> tokenizer() {
  const std::vector<std::string> lines(
      3, "Generate the caption in English: a red circle Answer: what Picture is blue where");
  return std::make_shared<text::Tokenizer>(text::train_tokenizer("qwen1", lines, 320));
}

qwen_vl::Config with(const text::Tokenizer& own, const std::string& format) {
  qwen_vl::Config config = tiny();
  config.language.vocab_size = 0;
  config.image_start = config.eos_id = config.stop_id = -1;
  config.language.seq_length = 200;
  config.format = format;
  qwen_vl::fit_vocabulary(config, own);
  return config;
}

data::Sample captioned() {
  data::Sample sample;
  sample.id = "here";
  sample.pictures.push_back({{}, vision::make_image(20, 10)});
  sample.texts = {"a red circle"};
  return sample;
}

std::string words(const text::Tokenizer& own, const at::Tensor& ids) {
  std::vector<std::int32_t> kept;
  for (std::int64_t i = 0; i < ids.numel(); ++i) {
    const auto id = ids.flatten()[i].item<std::int64_t>();
    if (id >= 0) kept.push_back(static_cast<std::int32_t>(id));
  }
  return own.decode(kept, /*keep_special=*/true);
}

}  // namespace

TEST_CASE("Qwen-VL: samples of pre-training go on behind their pictures") {
  const auto own = tokenizer();
  const qwen_vl::Config config = with(*own, "continued");
  const Processor processor = qwen_vl::make_processor(config, own);
  const std::string shown = "<img><imgpad><imgpad><imgpad><imgpad></img>";
  data::Sample sample = captioned();
  Batch batch = processor.prepare(sample, Key(1), false);
  CHECK(words(*own, batch.text->ids) ==
        shown + "Generate the caption in English: a red circle<|endoftext|>");
  CHECK(words(*own, batch.text->labels) == " a red circle<|endoftext|>");
  CHECK(batch.images->pixels.sizes() == at::IntArrayRef({1, 3, 16, 16}));
  sample.boxes = {{10, 0, 20, 5}};
  batch = processor.prepare(sample, Key(1), false);
  CHECK(words(*own, batch.text->ids) ==
        shown + "<ref>a red circle</ref><box>(500,0),(999,500)</box><|endoftext|>");
  CHECK(words(*own, batch.text->labels) == "<box>(500,0),(999,500)</box><|endoftext|>");
  CHECK(words(*own, processor.prompt(sample, "").text->ids) == shown + "<ref>a red circle</ref>");
  // A caption whose things have boxes: all boxes of a name stand behind it.
  sample.boxes = {{10, 0, 20, 5}, {0, 0, 10, 10}, {0, 5, 2, 10}, {1, 1, 2, 2}};
  sample.box_names = {"circle", "red", "circle", "square"};
  batch = processor.prepare(sample, Key(1), false);
  CHECK(words(*own, batch.text->ids) ==
        shown +
            "Generate the caption in English with grounding: a <ref>red</ref>"
            "<box>(0,0),(500,999)</box> <ref>circle</ref><box>(500,0),(999,500)</box>"
            "<box>(0,500),(100,999)</box><|endoftext|>");
  sample = captioned();
  sample.question = "what is blue";
  sample.answer = "a circle";
  batch = processor.prepare(sample, Key(1), false);
  CHECK(words(*own, batch.text->ids) == shown + "what is blue Answer: a circle<|endoftext|>");
  // Words in a picture, clockwise around each of them.
  sample = captioned();
  sample.texts.clear();
  sample.boxes = {{10, 0, 20, 5}, {0, 5, 2, 10}};
  sample.box_names = {"red", "blue"};
  batch = processor.prepare(sample, Key(1), false);
  CHECK(words(*own, batch.text->ids) ==
        shown +
            "OCR with grounding: <ref>red</ref><quad>(500,0),(999,0),(999,500),(500,500)</quad>"
            "<ref>blue</ref><quad>(0,500),(100,500),(100,999),(0,999)</quad><|endoftext|>");
  CHECK(words(*own, processor.prompt(sample, "").text->ids) == shown + "OCR with grounding:");
  sample = captioned();
  sample.pictures.clear();
  batch = processor.prepare(sample, Key(1), false);
  CHECK_FALSE(batch.images.has_value());
  CHECK(words(*own, batch.text->labels) == "a red circle<|endoftext|>");
}

TEST_CASE("Qwen-VL: dialogues number their pictures and learn every turn's marks") {
  const auto own = tokenizer();
  const Processor processor = qwen_vl::make_processor(with(*own, "chat"), own);
  data::Sample sample = captioned();
  sample.pictures.push_back(sample.pictures[0]);
  sample.question = "what is blue";
  sample.answer = "a circle";
  const Batch batch = processor.prepare(sample, Key(1), false);
  const std::string shown = "<img><imgpad><imgpad><imgpad><imgpad></img>\n";
  CHECK(
      words(*own, batch.text->ids) ==
      "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nPicture 1: " +
          shown + "Picture 2: " + shown +
          "what is blue<|im_end|>\n<|im_start|>assistant\na circle<|im_end|>\n");
  CHECK(words(*own, batch.text->labels) ==
        "<|im_start|><|im_end|>\n<|im_start|><|im_end|>\n<|im_start|>a circle<|im_end|>\n");
  CHECK(batch.images->pixels.size(0) == 2);
  CHECK(batch.images->rows.numel() == 2);
}

TEST_CASE("Qwen-VL: the level of chance is that of guessing, and an untrained model is there") {
  qwen_vl::QwenVlModel model(tiny(), Key(1));
  const auto levels = model.chance_levels(8);
  CHECK(levels.size() == 1);
  CHECK(levels.at("lm").value == Approx(std::log(60.0)));
  const Pass pass = pass_of(model, {batch_of({joined({{3}, picture(), {4, 9, 8}})}, 1)});
  CHECK(pass.sum / pass.count == Approx(levels.at("lm").value).epsilon(0.05));
}

}  // namespace qwen_vl_test
