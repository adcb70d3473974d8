// Facts of LLaVA's structure; outputs against transformers are in tests/jobs/llava_verify_test.cpp.

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "models/llava/batch.h"
#include "models/llava/model.h"
#include "models/llava/weights.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/models/adapters.h"
#include "tandem/models/weights.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/text/kinds.h"

namespace llava_test {

using namespace tandem;
using namespace tandem::models;
namespace fs = std::filesystem;

namespace {

llava::Config tiny() {
  llava::Config config;
  config.vision.image_size = 8;
  config.vision.patch_size = 4;
  config.vision.width = 12;
  config.vision.layers = 3;
  config.vision.heads = 2;
  config.language.width = 16;
  config.language.layers = 2;
  config.language.heads = 4;
  config.language.kv_heads = 2;
  config.language.mlp = 20;
  config.language.vocab_size = 40;
  config.language.eos_ids = {2};
  config.image_id = 39;
  return config;
}

constexpr std::int64_t places = 4;

// Rows of words, of which some are a picture's places.
Batch make_batch() {
  at::manual_seed(1);
  Batch batch;
  batch.positions = {0, 1, 2};
  Tokens text;
  text.ids = at::randint(3, 38, {3, 12}, at::kLong);
  text.ids.slice(1, 2, 2 + places)[0].fill_(39);
  text.ids.slice(1, 1, 1 + places)[2].fill_(39);
  text.ids.slice(1, 6, 6 + places)[2].fill_(39);
  text.mask = at::full({3, 12}, 1, at::kLong);
  text.labels = text.ids.masked_fill(text.ids.eq(39), -100);
  text.labels.slice(1, 0, 2).fill_(-100);
  batch.text = text;
  Images images;
  images.pixels = at::randint(0, 256, {3, 3, 8, 8}, at::kByte);
  images.rows = at::tensor({0, 2, 2}, at::kLong);
  batch.images = images;
  return batch;
}

const LossRequest of_words{.weights = {{"lm", 1}}};

LossTerms losses(llava::LlavaModel& model, const Batch& batch) {
  return model.losses(batch, of_words, StepContext());
}

std::map<std::string, at::Tensor> gradients(const Model& model) {
  std::map<std::string, at::Tensor> out;
  for (auto& [name, parameter] : model.parameters()) {
    if (parameter.grad().defined()) out[name] = parameter.grad().clone();
    at::Tensor own = parameter;
    own.mutable_grad() = at::Tensor();
  }
  return out;
}

const char* family_of(const std::string& name) {
  for (const char* part : {"vision_tower.", "multi_modal_projector.", "language_model."}) {
    if (name.starts_with(part)) return part;
  }
  return "";
}

}  // namespace

TEST_CASE("LLaVA: the loss is the sum over learned tokens, and its count is known before it runs") {
  llava::LlavaModel model(tiny(), Key(1));
  const Batch batch = make_batch();
  const LossTerms terms = losses(model, batch);
  const double count = model.counts(batch, {}).at("lm");
  CHECK(terms.at("lm").count == count);
  CHECK(count == batch.text->labels.slice(1, 1).ne(-100).sum().item<double>());
  CHECK(terms.at("lm").sum.item<double>() / count == Approx(std::log(40.0)).epsilon(0.05));
  Batch missing = batch;
  missing.images->pixels = missing.images->pixels.narrow(0, 0, 2);
  CHECK_THROWS_AS(model.counts(missing, {}), Error);
}

TEST_CASE("LLaVA: a frozen tower has no gradient and blocks that nobody sees do not run") {
  llava::LlavaModel model(tiny(), Key(1));
  const Batch batch = make_batch();
  torch::autograd::backward({losses(model, batch).at("lm").sum}, {});
  const auto all = gradients(model);
  CHECK(all.contains("vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight"));
  CHECK_FALSE(all.contains("vision_tower.vision_model.encoder.layers.2.mlp.fc1.weight"));
  CHECK_FALSE(all.contains("vision_tower.vision_model.post_layernorm.weight"));
  for (auto& [name, parameter] : model.parameters()) {
    at::Tensor own = parameter;
    own.set_requires_grad(std::string(family_of(name)) == "multi_modal_projector.");
  }
  torch::autograd::backward({losses(model, batch).at("lm").sum}, {});
  const auto connector = gradients(model);
  CHECK(connector.size() == 4);
  for (const auto& [name, gradient] : connector) {
    CHECK(at::allclose(gradient, all.at(name), 1e-4, 1e-6));
  }
}

TEST_CASE("LLaVA: recomputed blocks give the same gradients, bit by bit") {
  llava::LlavaModel model(tiny(), Key(1));
  const Batch batch = make_batch();
  StepContext context;
  torch::autograd::backward({model.losses(batch, of_words, context).at("lm").sum}, {});
  const auto plain = gradients(model);
  context.recompute = true;
  torch::autograd::backward({model.losses(batch, of_words, context).at("lm").sum}, {});
  for (const auto& [name, gradient] : gradients(model)) CHECK(at::equal(gradient, plain.at(name)));
}

TEST_CASE("LLaVA: dialogues packed into one row give the loss of each alone") {
  llava::LlavaModel model(tiny(), Key(1));
  Batch batch = make_batch();
  const double apart = losses(model, batch).at("lm").sum.item<double>();
  Tokens& text = *batch.text;
  for (at::Tensor* part : {&text.ids, &text.labels, &text.mask}) *part = part->reshape({1, 36});
  text.positions = at::arange(12, at::kLong).repeat({3}).unsqueeze(0);
  text.segments = at::arange(3, at::kLong).repeat_interleave(12).unsqueeze(0);
  CHECK(losses(model, batch).at("lm").sum.item<double>() == Approx(apart).epsilon(1e-5));
}

TEST_CASE(
    "LLaVA: adapters on the language model's layers and on its head change nothing at first") {
  llava::LlavaModel model(tiny(), Key(1));
  const Batch batch = make_batch();
  const double before = losses(model, batch).at("lm").sum.item<double>();
  std::vector<Adapter> adapters;
  for (const std::string& layer : linear_layers(model)) {
    if (layer.starts_with("language_model.")) adapters.push_back({layer, 2, 1.0, 0.0});
  }
  CHECK(adapters.size() == 2 * 7 + 1);
  attach_adapters(model, adapters, Key(2));
  CHECK(losses(model, batch).at("lm").sum.item<double>() == Approx(before));
  const at::NoGradGuard no_grad;
  for (auto& [name, parameter] : model.parameters()) {
    if (name.ends_with("lora_B.weight")) parameter.add_(0.05);
  }
  const double adapted = losses(model, batch).at("lm").sum.item<double>();
  CHECK(adapted != Approx(before));
  CHECK(merge_adapters(model));
  CHECK(losses(model, batch).at("lm").sum.item<double>() == Approx(adapted).epsilon(1e-5));
}

namespace {

const LossRequest of_preferences{.weights = {{"dpo", 1}}};

// The same prompts (a picture, none, two) with two answers of different lengths.
Batch make_preferences() {
  Batch batch = make_batch();
  Tokens other = *batch.text;
  batch.text->labels = at::full({3, 12}, -100, at::kLong);
  batch.text->labels.slice(1, 10).copy_(batch.text->ids.slice(1, 10));
  other.ids = at::cat({other.ids, at::randint(3, 38, {3, 2}, at::kLong)}, 1);
  other.ids.slice(1, 10).copy_(at::randint(3, 38, {3, 4}, at::kLong));
  other.labels = at::full({3, 14}, -100, at::kLong);
  other.labels.slice(1, 10).copy_(other.ids.slice(1, 10));
  other.labels[1][13] = -100;  // a shorter answer; padding stands behind it
  other.mask = at::full({3, 14}, 1, at::kLong);
  other.mask[1][13] = 0;
  batch.rejected = other;
  return batch;
}

// By the outputs that `verify` compares: log p of every word at every token, [B, T, V].
at::Tensor log_words(llava::LlavaModel& model, const Tokens& text, const Images& images) {
  const nn::PixelStatistics statistics = statistics_of(tiny().image);
  const auto outputs = model.reference_outputs(
      {{"input_ids", text.ids}, {"pixel_values", nn::normalize_pixels(images.pixels, statistics)}});
  return at::log_softmax(outputs.at("logits"), -1);
}

// log p of the labelled tokens, summed: [B].
at::Tensor answers_of(llava::LlavaModel& model, const Tokens& text, const Images& images) {
  const at::Tensor labels = text.labels.slice(1, 1);
  return (log_words(model, text, images)
              .narrow(1, 0, labels.size(1))
              .gather(2, labels.clamp_min(0).unsqueeze(2))
              .squeeze(2) *
          labels.ne(-100))
      .sum(1);
}

void train_only(const Model& model, const std::string& part) {
  for (const auto& [name, parameter] : model.parameters()) {
    at::Tensor(parameter).set_requires_grad(name.find(part) != std::string::npos);
  }
}

llava::Config comparing(const std::string& reference) {
  llava::Config config = tiny();
  config.preference.reference = reference;
  config.preference.beta = 0.3;
  return config;
}

}  // namespace

TEST_CASE("LLaVA: dpo is its formula of both models' log-probabilities, and the copy stays") {
  for (const bool tied : {false, true}) {
    llava::Config config = comparing("copy");
    config.language.tied = tied;
    llava::LlavaModel model(config, Key(1));
    config.preference.reference = "none";
    llava::LlavaModel begun(config, Key(1));  // what the copy is one of
    const Batch batch = make_preferences();
    CHECK_THROWS_WITH(model.losses(batch, of_preferences, {}),
                      Catch::Contains("nothing before the language model learns"));
    train_only(model, "language_model.");
    const auto loss = [&] { return model.losses(batch, of_preferences, {}).at("dpo"); };
    CHECK(loss().sum.item<double>() == Approx(3 * std::log(2.0)));
    CHECK(loss().count == 3);
    CHECK(model.counts(batch, of_preferences).at("dpo") == 3);
    CHECK_THROWS_AS(model.counts(make_batch(), of_preferences), Error);
    {
      const at::NoGradGuard no_grad;
      for (auto& [name, parameter] : model.parameters()) {
        if (name.starts_with("language_model.")) parameter.add_(at::randn(parameter.sizes()) * 0.1);
      }
    }
    const Tokens &chosen = *batch.text, &rejected = *batch.rejected;
    const auto margin = [&](llava::LlavaModel& of) {
      return answers_of(of, chosen, *batch.images) - answers_of(of, rejected, *batch.images);
    };
    const at::Tensor h = margin(model) - margin(begun).detach();
    const at::Tensor expected = at::log_sigmoid(h * 0.3).neg().sum();
    CHECK(h.abs().min().item<double>() > 1e-3);
    CHECK(loss().sum.item<double>() == Approx(expected.item<double>()).epsilon(1e-4));
    torch::autograd::backward({expected}, {});
    const auto formula = gradients(model);
    torch::autograd::backward({loss().sum}, {});
    const auto ours = gradients(model);
    CHECK(ours.size() == formula.size());
    CHECK(ours.size() == 1 + (tied ? 0 : 1) + 1 + 2 * 9);  // the language model's alone
    for (const auto& [name, gradient] : ours) {
      CAPTURE(name);
      CHECK(at::allclose(gradient, formula.at(name), 1e-3, 1e-5));
    }
    std::map<std::string, at::Tensor> first;
    for (const auto& [name, tensor] : begun.parameters()) first["reference." + name] = tensor;
    CHECK(model.buffers().size() == ours.size());
    for (const auto& [name, tensor] : model.buffers()) {
      CAPTURE(name);
      CHECK_FALSE(tensor.requires_grad());
      CHECK(at::equal(tensor, first.at(name)));
    }
  }
}

TEST_CASE("LLaVA: both answers are weighed, and how far the model is from its copy") {
  llava::LlavaModel model(comparing("copy"), Key(1)), begun(comparing("none"), Key(1));
  const Batch batch = make_preferences();
  const Preferred before = model.abilities().prefer(batch);
  CHECK(at::equal(before.chosen, before.reference_chosen));
  CHECK(at::equal(before.rejected, before.reference_rejected));
  CHECK(at::equal(before.divergence, at::zeros({3})));
  CHECK(at::equal(before.tokens, at::full({3}, 2, at::kLong)));
  CHECK(before.beta == 0.3);
  const at::NoGradGuard no_grad;
  for (auto& [name, parameter] : model.parameters()) {
    if (name.starts_with("language_model.")) parameter.add_(at::randn(parameter.sizes()) * 0.2);
  }
  const Preferred after = model.abilities().prefer(batch);
  const Images& images = *batch.images;
  CHECK(at::allclose(after.chosen, answers_of(model, *batch.text, images), 1e-4, 1e-4));
  CHECK(at::allclose(after.rejected, answers_of(model, *batch.rejected, images), 1e-4, 1e-4));
  CHECK(at::allclose(after.reference_chosen, answers_of(begun, *batch.text, images), 1e-4, 1e-4));
  const at::Tensor own = log_words(model, *batch.text, images);
  const at::Tensor theirs = log_words(begun, *batch.text, images);
  const at::Tensor apart = (own.exp() * (own - theirs)).sum(2);  // [B, T]
  CHECK(at::allclose(after.divergence, apart.slice(1, 9, 11).sum(1), 1e-3, 1e-5));
  CHECK(after.divergence.min().item<double>() > 1e-3);
  const Preferred alone = begun.abilities().prefer(batch);
  CHECK_FALSE(alone.reference_chosen.defined());
  CHECK_FALSE(alone.divergence.defined());
}

TEST_CASE("LLaVA: the model without its adapters is the reference, its connector's too") {
  llava::LlavaModel model(comparing("adapters"), Key(1)), begun(comparing("none"), Key(1));
  const Batch batch = make_preferences();
  CHECK_THROWS_WITH(model.losses(batch, of_preferences, {}), Catch::Contains("expected adapters"));
  CHECK_FALSE(model.abilities().prefer(batch).reference_chosen.defined());
  attach_adapters(model,
                  {{"language_model.model.layers.0.self_attn.q_proj", 2, 1.0, 0.0},
                   {"language_model.lm_head", 2, 1.0, 0.0},
                   {"multi_modal_projector.linear_1", 2, 1.0, 0.0}},
                  Key(1));
  train_only(model, "lora_");
  const auto loss = [&] { return model.losses(batch, of_preferences, {}).at("dpo").sum; };
  CHECK(loss().item<double>() == Approx(3 * std::log(2.0)));
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, parameter] : model.parameters()) {
      if (name.ends_with("lora_B.weight")) parameter.copy_(at::randn(parameter.sizes()));
    }
  }
  CHECK(std::abs(loss().item<double>() - 3 * std::log(2.0)) > 1e-4);
  const Preferred made = model.abilities().prefer(batch);
  const at::Tensor first = answers_of(begun, *batch.text, *batch.images);
  CHECK(at::allclose(made.reference_chosen, first, 1e-4, 1e-4));
  CHECK_FALSE(at::allclose(made.chosen, first, 1e-4, 1e-4));
}

TEST_CASE("LLaVA: a copy that a file does not have starts as the language model") {
  const Weights file{{"language_model.model.norm.weight", at::full({1}, 1)},
                     {"multi_modal_projector.linear_1.bias", at::zeros({1})}};
  const Weights begun = llava::import_weights(file, comparing("copy"));
  CHECK(begun.size() == 3);
  CHECK(begun.contains("reference.language_model.model.norm.weight"));
  CHECK(llava::import_weights(begun, comparing("copy")).size() == 3);
  CHECK(llava::import_weights(begun, comparing("adapters")).size() == 2);
}

TEST_CASE("LLaVA: names of transformers 5 and of the original become those of the hub's files") {
  llava::Config config = tiny();
  llava::LlavaModel model(config, Key(1));
  Weights hub, modules, original;
  for (const auto& [name, value] : model.parameters()) {
    hub[name] = value.detach();
    std::string theirs = name;
    const auto swap = [&](const std::string& from, const std::string& to) {
      if (theirs.starts_with(from)) theirs = to + theirs.substr(from.size());
    };
    swap("language_model.lm_head.", "lm_head.");
    swap("language_model.model.", "model.language_model.");
    swap("vision_tower.vision_model.", "model.vision_tower.");
    swap("multi_modal_projector.", "model.multi_modal_projector.");
    modules[theirs] = value.detach();
    theirs = name;
    swap("language_model.lm_head.", "lm_head.");
    swap("language_model.model.", "model.");
    swap("vision_tower.", "model.vision_tower.vision_tower.");
    swap("multi_modal_projector.linear_1", "model.mm_projector.0");
    swap("multi_modal_projector.linear_2", "model.mm_projector.2");
    original[theirs] = value.detach();
  }
  for (const Weights& weights : {hub, modules, original}) {
    const Weights ours = llava::import_weights(weights, config);
    REQUIRE(ours.size() == hub.size());
    for (const auto& [name, value] : hub) CHECK(at::equal(ours.at(name), value));
    llava::Config fitted = config;
    llava::fit_weights(fitted, weights);
    CHECK(fitted.connector.kind == "mlp");
    CHECK(fitted.connector.layers == 2);
  }
  llava::fit_weights(config, {{"model.mm_projector.weight", at::Tensor()},
                              {"model.mm_projector.bias", at::Tensor()}});
  CHECK(config.connector.kind == "linear");
}

TEST_CASE("LLaVA: config.json keeps what it was told") {
  llava::Config config = tiny();
  config.feature_layers = {-2, 0};
  config.class_token = true;
  config.language.kind = "qwen2";
  config.language.eos_ids = {2, 7};
  config.language.scaled = true;
  config.language.scaling.type = "llama3";
  config.language.scaling.factor = 8;
  config.language.scaling.trained = 512;
  config.chat = "plain";
  config.aspect = "crop";
  config.connector.kind = "linear";
  const std::string text = llava::to_config_json(config);
  CHECK(llava::to_config_json(*llava::from_config_json(text)) == text);
  CHECK(config.blocks() == std::vector<std::int64_t>{2, 0});
  CHECK(config.picture_tokens() == 5);
}

// What transformers recorded as extra.NAME.
void check_replies(const fs::path& folder) {
  const auto recorded = load_safetensors(folder / "reference.safetensors").tensors;
  const std::string json = [&] {
    std::ifstream file(folder / "config.json");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  const auto settings = llava::from_config_json(json);
  llava::LlavaModel model(llava::config_of(*settings), Key(0));
  assign_weights(model, llava::import_weights(
                            load_safetensors(folder / "model.safetensors").tensors, *settings));
  model.train(false);
  Batch prompts;
  prompts.text = Tokens{recorded.at("input.input_ids"), recorded.at("input.attention_mask")};
  if (recorded.contains("input.pixel_values")) {
    prompts.images = Images{recorded.at("input.pixel_values"), {}, {}};
  }
  struct Case {
    const char* name;
    GenerateOptions options;
  };
  const std::vector<Case> cases{
      {"greedy", {.max_length = 9}},
      {"greedy_rules", {.max_length = 12, .min_length = 6, .repetition_penalty = 1.3}},
      {"beams", {.max_length = 9, .beams = 3}},
      {"beams_rules",
       {.max_length = 10, .beams = 4, .repetition_penalty = 1.2, .length_penalty = 2.0}},
      {"beams_short", {.max_length = 8, .beams = 2, .length_penalty = -1.0}}};
  for (const auto& [name, options] : cases) {
    CAPTURE(name);
    const auto replies = model.abilities().generate(prompts, options);
    const at::Tensor& theirs = recorded.at(std::string("extra.") + name);
    REQUIRE(static_cast<std::int64_t>(replies.size()) == theirs.size(0));
    for (std::size_t i = 0; i < replies.size(); ++i) {
      const at::Tensor row = theirs[static_cast<std::int64_t>(i)];
      const auto length = static_cast<std::int64_t>(replies[i].size());
      REQUIRE(length <= row.size(0));
      CHECK(at::equal(at::tensor(replies[i], at::kLong), row.narrow(0, 0, length)));
      CHECK(row.slice(0, length).eq(58).all().item<bool>());  // padding
    }
  }
}

TEST_CASE("LLaVA: replies equal those of transformers, greedy and by beams, padded on the left") {
  for (const char* name : {"llava_qwen2_tied", "llava_opt"}) {
    check_replies(fs::path(TANDEM_SOURCE_DIR) / "tests/reference/fixtures" / name);
  }
}

TEST_CASE("LLaVA: a dialogue's pictures stand where it says, and padding makes them square") {
  const std::vector<std::string> lines{"what is in the picture ?", "a red circle"};
  auto tokenizer =
      std::make_shared<const text::Tokenizer>(text::train_tokenizer("vicuna", lines, 300));
  llava::Config config = tiny();
  config.language.vocab_size = 0;
  config.language.eos_ids.clear();
  config.image_id = -1;
  llava::fit_vocabulary(config, *tokenizer);
  CHECK(config.language.vocab_size == tokenizer->vocab_size());
  CHECK(config.image_id == *tokenizer->id_of("<image>"));
  CHECK(config.language.eos_ids == std::vector<std::int64_t>{*tokenizer->id_of("</s>")});
  const Processor processor = llava::make_processor(config, tokenizer);
  data::Sample sample;
  sample.pictures.resize(2);
  for (data::Picture& picture : sample.pictures) picture.pixels = vision::make_image(40, 10);
  sample.turns = {
      {"user", {text::picture_part(1), text::text_part("what is in"), text::picture_part(0)}},
      {"assistant", {text::text_part("a red circle")}}};
  const Batch example = processor.prepare(sample, Key(0), true);
  CHECK(example.images->pixels.size(0) == 2);
  CHECK(at::equal(example.images->rows, at::zeros({2}, at::kLong)));
  CHECK(example.text->ids.eq(config.image_id).sum().item<std::int64_t>() == 2 * places);
  CHECK(example.text->labels.eq(config.image_id).sum().item<std::int64_t>() == 0);
  CHECK(example.text->labels.ne(-100).any().item<bool>());
  const at::Tensor corner = example.images->pixels[0].select(1, 0).select(1, 0);  // padded with
  CHECK(at::equal(corner, at::tensor({122, 116, 104}, at::kByte)));               // the mean
  const Batch prompt = processor.prompt(sample, "");
  const std::int64_t length = prompt.text->ids.size(1);
  CHECK(at::equal(prompt.text->ids, example.text->ids.narrow(1, 0, length)));
  CHECK_FALSE(prompt.text->labels.defined());
  sample.rejected = {{"assistant", {text::text_part("what is the picture ?")}}};
  sample.prompt_turns = 1;
  const Batch pair = processor.prepare(sample, Key(0), true);
  CHECK(pair.images->pixels.size(0) == 2);  // both answers' own
  CHECK(at::equal(pair.text->ids, example.text->ids));
  REQUIRE(pair.rejected);
  CHECK(at::equal(pair.rejected->ids.narrow(1, 0, length), prompt.text->ids));
  CHECK(pair.rejected->labels.narrow(1, 0, length).ne(-100).sum().item<std::int64_t>() == 0);
  CHECK(pair.rejected->labels.ne(-100).any().item<bool>());
}

TEST_CASE("LLaVA: the levels of chance are those of guessing, and an untrained model is there") {
  llava::LlavaModel model(tiny(), Key(1));
  const auto levels = model.chance_levels(8);
  CHECK(levels.at("lm").value == Approx(std::log(40.0)));
  CHECK(levels.at("dpo").value == Approx(std::log(2.0)));
  const LossTerm term = losses(model, make_batch()).at("lm");
  CHECK(term.sum.item<double>() / term.count == Approx(levels.at("lm").value).epsilon(0.05));
  llava::Config config = tiny();
  config.preference.kind = "ipo";  // a square has no such level
  CHECK_FALSE(llava::LlavaModel(config, Key(1)).chance_levels(8).contains("dpo"));
}

}  // namespace llava_test
