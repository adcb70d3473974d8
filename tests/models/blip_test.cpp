// Facts of BLIP's structure; outputs against the originals are in tests/jobs/blip_verify_test.cpp.

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <set>

#include "../support/fixtures.h"
#include "../support/temporary.h"
#include "models/blip/batch.h"
#include "models/blip/model.h"
#include "models/blip/weights.h"
#include "support.h"
#include "tandem/base/error.h"
#include "tandem/models/weights.h"
#include "tandem/tensor/safetensors.h"

namespace blip_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::testing;

namespace {

blip::Config tiny(const std::string& kind = "pretrain") {
  blip::Config config;
  config.kind = kind;
  set_picture(config.vision);
  set_size(config.vision, 24, 1);
  set_size(config.text, 16, 2);
  set_words(config.text, 50, 12, 1);
  config.text.sep_id = 2;
  config.text.bos_id = 48;
  config.text.enc_id = 49;
  config.embed_dim = 8;
  config.queue = 6;
  config.momentum = 0.75;
  return config;
}

Batch make_batch(std::int64_t rows, std::int64_t first = 0) {
  at::manual_seed(3 + first);
  Batch batch;
  batch.images = Images{at::randint(0, 256, {rows, 3, 16, 16}, at::kByte), {}};
  at::Tensor ids = at::randint(3, 47, {rows, 7}, at::kLong), mask = at::ones_like(ids);
  ids.select(1, 0).fill_(1);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t end = 3 + (i + first) % 4;
    ids[i][end] = 2;
    ids[i].narrow(0, end + 1, 6 - end).fill_(0);
    mask[i].narrow(0, end + 1, 6 - end).fill_(0);
    batch.positions.push_back(first + i);
  }
  batch.text = Tokens{ids, mask, {}, {}, {}};
  batch.picture_ids = at::arange(first, first + rows, at::kLong);
  return batch;
}

std::map<std::string, at::Tensor> values(const NamedTensors& tensors) {
  std::map<std::string, at::Tensor> copies;
  for (const auto& [name, tensor] : tensors) copies[name] = tensor.detach().clone();
  return copies;
}

const LossRequest all_losses{{{"itc", 1.0}, {"itm", 1.0}, {"lm", 1.0}}};

StepContext step_of(std::int64_t step, std::int64_t micro_batch = 0) {
  StepContext context;
  context.step = step;
  context.micro_batch = micro_batch;
  context.key = Key(7).fold(static_cast<std::uint64_t>(step));
  return context;
}

}  // namespace

TEST_CASE("BLIP: encoder and decoder share the storage of all but self-attention") {
  const blip::Config config = tiny();
  blip::Blip parts(config);
  const auto encoder = parts.encoder->named_parameters();
  std::size_t own = 0, shared = 0;
  for (const auto& item : parts.decoder->named_parameters()) {
    CAPTURE(item.key());
    const bool self = item.key().find(".attention.") != std::string::npos;
    CHECK(item.value().is_same(*encoder.find(item.key())) == !self);
    self ? ++own : ++shared;
  }
  CHECK(own == 2 * 10);
  CHECK(shared == 4 + 2 * (10 + 6));
  CHECK(parts.lm_head->decoder.is_same(parts.encoder->embeddings->word_embeddings->weight));
}

TEST_CASE("BLIP: each parameter has one entry, under its first name in the original's file") {
  blip::BlipModel model(tiny(), Key(1));
  std::set<std::string> names;
  std::set<const void*> storages;
  for (const auto& [name, tensor] : model.parameters()) {
    CAPTURE(name);
    names.insert(name);
    CHECK(storages.insert(tensor.unsafeGetTensorImpl()).second);
    CHECK(tensor.requires_grad());
  }
  CHECK(names.contains("text_encoder.encoder.layer.1.crossattention.self.key.weight"));
  CHECK(names.contains("text_decoder.bert.encoder.layer.1.attention.self.key.weight"));
  CHECK(names.contains("text_decoder.cls.predictions.bias"));
  CHECK(names.contains("visual_encoder.blocks.0.attn.qkv.weight"));
  CHECK(names.contains("temp"));
  CHECK_FALSE(names.contains("text_decoder.bert.encoder.layer.1.output.dense.weight"));
  CHECK_FALSE(names.contains("text_decoder.cls.predictions.decoder.weight"));
  for (const auto& [name, tensor] : model.buffers()) {
    CAPTURE(name);
    CHECK_FALSE(names.contains(name));
    CHECK_FALSE(tensor.requires_grad());
  }
}

TEST_CASE("BLIP: copies start equal to their parts") {
  blip::BlipModel model(tiny(), Key(1));
  const auto parameters = values(model.parameters()), buffers = values(model.buffers());
  CHECK(at::equal(parameters.at("visual_encoder.pos_embed"),
                  buffers.at("visual_encoder_m.pos_embed")));
  CHECK(at::equal(parameters.at("text_encoder.embeddings.word_embeddings.weight"),
                  buffers.at("text_encoder_m.embeddings.word_embeddings.weight")));
  CHECK(at::equal(parameters.at("text_proj.bias"), buffers.at("text_proj_m.bias")));
  const at::Tensor lengths = buffers.at("image_queue").norm(2, {0}, false);
  CHECK(at::allclose(lengths, at::ones_like(lengths)));
}

TEST_CASE("BLIP: the decoder sees no later token, the encoder sees all, padding is never seen") {
  blip::Config config = tiny();
  blip::Blip parts(config);
  blip::initialize(parts, config, Key(5));
  const at::NoGradGuard no_grad;
  parts.eval();
  at::manual_seed(3);
  const at::Tensor ids = at::randint(3, 47, {1, 6}, at::kLong), image = at::randn({1, 5, 24});
  at::Tensor changed = ids.clone();
  changed[0][3] = 3 + (changed[0][3] - 2) % 44;
  REQUIRE_FALSE(at::equal(ids, changed));
  const auto decoded = [&](const at::Tensor& x) {
    return parts.decoder->forward(x, nn::causal_mask(), image, nn::no_mask(), {});
  };
  const at::Tensor a = decoded(ids), b = decoded(changed);
  CHECK(at::allclose(a.narrow(1, 0, 3), b.narrow(1, 0, 3), 1e-5, 1e-6));
  CHECK_FALSE(at::allclose(a.narrow(1, 3, 3), b.narrow(1, 3, 3), 1e-3, 1e-4));
  const auto encoded = [&](const at::Tensor& x, const nn::Mask& mask) {
    return parts.encoder->forward(x, mask, {}, nn::no_mask(), {});
  };
  CHECK_FALSE(at::allclose(encoded(ids, nn::no_mask()).select(1, 0),
                           encoded(changed, nn::no_mask()).select(1, 0), 1e-4, 1e-5));
  at::Tensor visible = at::ones_like(ids);
  visible[0][3] = 0;
  CHECK(at::allclose(encoded(ids, nn::padding_mask(visible)).select(1, 0),
                     encoded(changed, nn::padding_mask(visible)).select(1, 0), 1e-5, 1e-6));
}

TEST_CASE(
    "BLIP: a text's feature knows nothing of padding and of pictures; a match depends on both") {
  blip::BlipModel model(tiny(), Key(1));
  model.train(false);
  const auto can = model.abilities();
  const Batch batch = make_batch(3);
  const at::Tensor feature = can.embed_text(*batch.text);
  CHECK(feature.sizes() == at::IntArrayRef({3, 8}));
  Tokens cut = *batch.text;
  cut.ids = cut.ids.narrow(0, 0, 1).narrow(1, 0, 4);
  cut.mask = cut.mask.narrow(0, 0, 1).narrow(1, 0, 4);
  CHECK(at::allclose(can.embed_text(cut), feature.narrow(0, 0, 1), 1e-5, 1e-6));
  const at::Tensor score = can.match(batch);
  CHECK(score.sizes() == at::IntArrayRef({3}));
  Batch other = batch;
  other.images->pixels = batch.images->pixels.flip({0});
  CHECK_FALSE(at::allclose(can.match(other), score, 1e-6, 1e-7));
}

TEST_CASE("BLIP: copies follow once a step, queues take the step's features in order and wrap") {
  blip::BlipModel model(tiny(), Key(1));
  model.train(true);
  std::map<std::string, at::Tensor> copy = values(model.buffers());
  at::Tensor queue = copy.at("text_queue").clone();
  std::int64_t next = 0;
  for (std::int64_t step = 0; step < 4; ++step) {
    {
      const at::NoGradGuard no_grad;
      for (const auto& [name, tensor] : model.parameters()) {
        if (name != "temp") at::Tensor(tensor).add_(at::randn(tensor.sizes()) * 0.02);
      }
    }
    const auto parameters = values(model.parameters());
    const Batch batch = make_batch(4, 4 * step);
    // The micro-batches come in another order than their places.
    model.losses(rows_of(batch, 2, 2), all_losses, step_of(step, 0));
    model.losses(rows_of(batch, 0, 2), all_losses, step_of(step, 1));
    CHECK(at::equal(values(model.buffers()).at("text_queue"), queue));  // constant within a step
    model.after_step(step_of(step));
    const auto now = values(model.buffers());
    for (const auto& [name, own] : parameters) {
      const std::size_t dot = name.find('.');
      if (dot == std::string::npos) continue;
      const std::string twin = name.substr(0, dot) + "_m" + name.substr(dot);
      if (!now.contains(twin)) continue;
      CAPTURE(name);
      CHECK(at::allclose(now.at(twin), copy.at(twin) * 0.75 + own * 0.25, 1e-5, 1e-7));
    }
    // What the copies give for the texts, alone: a model whose parts are the copies.
    blip::BlipModel twin(tiny(), Key(1));
    std::map<std::string, at::Tensor> weights = parameters;
    for (auto& [name, value] : weights) {
      const std::size_t dot = name.find('.');
      const std::string key =
          dot == std::string::npos ? "" : name.substr(0, dot) + "_m" + name.substr(dot);
      if (now.contains(key)) value = now.at(key);
    }
    assign_weights(twin, weights);
    twin.train(false);
    const at::Tensor features = twin.abilities().embed_text(*batch.text);
    for (std::int64_t i = 0; i < 4; ++i) {
      queue.select(1, next).copy_(features[i]);
      next = (next + 1) % 6;
    }
    CHECK(at::allclose(now.at("text_queue"), queue, 1e-4, 1e-5));
    CHECK(now.at("queue_ptr").item<std::int64_t>() == next);
    queue = now.at("text_queue");
    copy = now;
  }
}

TEST_CASE("BLIP: nothing moves in evaluation, and the temperature is clamped after a step") {
  blip::BlipModel model(tiny(), Key(1));
  model.train(false);
  {
    const at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : model.parameters()) {
      if (name != "temp") at::Tensor(tensor).add_(0.1);
    }
  }
  const auto before = values(model.buffers());
  model.losses(make_batch(4), all_losses, step_of(0));
  model.after_step(step_of(0));
  for (const auto& [name, tensor] : values(model.buffers())) {
    CAPTURE(name);
    CHECK(at::equal(tensor, before.at(name)));
  }
  for (const auto& [name, tensor] : model.parameters()) {
    if (name != "temp") continue;
    const at::NoGradGuard no_grad;
    at::Tensor(tensor).fill_(0.9);
    model.after_step(step_of(0));
    CHECK(tensor.item<double>() == Approx(0.5));
    // One that is frozen stays, bit by bit.
    at::Tensor(tensor).set_requires_grad(false).fill_(0.9);
    const at::Tensor frozen = tensor.clone();
    model.after_step(step_of(0));
    CHECK(at::equal(tensor, frozen));
  }
}

TEST_CASE("BLIP: the evaluated contrast has the whole alpha, the trained one its ramp's") {
  const auto itc = [](double alpha, std::int64_t ramp, bool trains) {
    blip::Config config = tiny();
    config.alpha = alpha;
    config.alpha_ramp = ramp;
    blip::BlipModel model(config, Key(1));
    add_noise(model);
    model.train(trains);
    return model.losses(make_batch(4), {{{"itc", 1.0}}}, step_of(0)).at("itc").sum.item<double>();
  };
  CHECK(itc(0.4, 10, false) == itc(0.4, 0, false));
  CHECK(itc(0.4, 10, false) != itc(0, 0, false));
  CHECK(itc(0.4, 10, true) == itc(0, 0, true));
}

TEST_CASE("BLIP: random negatives are of other pictures, whatever is alike") {
  blip::Config config = tiny();
  config.text.dropout = config.text.attention_dropout = 0;
  blip::BlipModel hard(config, Key(1));
  config.itm_negatives = "random";
  blip::BlipModel random(config, Key(1));
  for (blip::BlipModel* model : {&hard, &random}) {
    add_noise(*model);
    model->train(false);
  }
  Batch batch = make_batch(2);
  batch.picture_ids = at::arange(2);  // there is one other
  CHECK(matching_losses(hard, batch).size() == 1);
  CHECK(matching_losses(random, batch) == matching_losses(hard, batch));
  batch = make_batch(3);
  batch.picture_ids = at::arange(3);
  CHECK(matching_losses(random, batch).size() > 4);
  batch.picture_ids = at::tensor({4, 4, 7}, at::kLong);  // only the last one has a choice of two
  CHECK(matching_losses(random, batch).size() == 4);
}

TEST_CASE("BLIP: counts are those of the losses; captions do not depend on the micro-batches") {
  blip::BlipModel model(tiny(), Key(1));
  model.train(false);
  const Batch batch = make_batch(4);
  const auto counts = model.counts(batch, all_losses);
  CHECK(counts.at("itc") == 4);
  CHECK(counts.at("itm") == 12);
  CHECK(counts.at("lm") == 3 + 4 + 5 + 6);
  const LossTerms terms = model.losses(batch, all_losses, step_of(0));
  CHECK(terms.at("itc").sum.item<double>() > 0);
  CHECK(terms.at("itm").sum.item<double>() > 0);
  double parts = 0;
  for (const std::int64_t first : {0, 2}) {
    parts += model.losses(rows_of(batch, first, 2), {{{"lm", 1.0}}}, step_of(0))
                 .at("lm")
                 .sum.item<double>();
  }
  CHECK(terms.at("lm").sum.item<double>() == Approx(parts).epsilon(1e-5));
}

TEST_CASE("BLIP: every parameter learns, and recomputation changes no bit") {
  blip::Config config = tiny();
  config.text.dropout = config.text.attention_dropout = 0.1;
  config.vision.drop_path = 0.1;
  std::map<std::string, at::Tensor> gradients;
  for (const bool recompute : {false, true}) {
    blip::BlipModel model(config, Key(1));
    model.train(true);
    StepContext context = step_of(3);
    context.recompute = recompute;
    at::Tensor total;
    for (const auto& [name, term] : model.losses(make_batch(4), all_losses, context)) {
      total = total.defined() ? total + term.sum : term.sum;
    }
    total.backward();
    for (const auto& [name, tensor] : model.parameters()) {
      CAPTURE(name);
      REQUIRE(tensor.grad().defined());
      if (!recompute) {
        gradients[name] = tensor.grad();
      } else {
        CHECK(at::equal(tensor.grad(), gradients.at(name)));
      }
    }
  }
}

TEST_CASE("BLIP: a released file's double tensors are one, whichever of the names are there") {
  const blip::Config config = tiny();
  blip::BlipModel model(config, Key(1));
  const auto own = values(model.parameters());
  Weights twice = own, renamed;
  for (const auto& [name, value] : own) {
    const std::string prefix = "text_encoder.";
    const bool self = name.find(".attention.") != std::string::npos;
    if (name.rfind(prefix, 0) == 0 && !self) {
      twice["text_decoder.bert." + name.substr(prefix.size())] = value;
      renamed["text_decoder.bert." + name.substr(prefix.size())] = value;
    } else {
      renamed[name] = value;
    }
  }
  twice["text_decoder.cls.predictions.decoder.weight"] =
      own.at("text_encoder.embeddings.word_embeddings.weight");
  twice["text_decoder.cls.predictions.decoder.bias"] = own.at("text_decoder.cls.predictions.bias");
  twice["text_encoder.embeddings.position_ids"] = at::arange(12).unsqueeze(0);
  for (const Weights& file : {twice, renamed}) {
    const Weights imported = blip::import_weights(file, config);
    for (const auto& [name, value] : own) {
      CAPTURE(name);
      REQUIRE(imported.contains(name));
      CHECK(at::equal(imported.at(name), value));
    }
    CHECK(at::equal(imported.at("text_proj_m.bias"), own.at("text_proj.bias")));
    blip::BlipModel other(config, Key(2));
    assign_weights(other, imported);
  }
}

TEST_CASE("BLIP: a model of fewer positions begins with the first ones, copies too") {
  blip::Config longer = tiny();
  longer.text.positions = 17;
  const Weights file = values(blip::BlipModel(longer, Key(1)).parameters());
  const std::string table = ".embeddings.position_embeddings.weight";
  const at::Tensor first = file.at("text_encoder" + table).narrow(0, 0, 12);
  blip::BlipModel shorter(tiny(), Key(2));
  const Weights out = blip::import_weights(file, tiny());
  CHECK(at::equal(out.at("text_encoder" + table), first));
  CHECK(at::equal(out.at("text_encoder_m" + table), first));
  CHECK_NOTHROW(assign_weights(shorter, out));
  blip::BlipModel captioner(tiny("captioning"), Key(2));
  const Weights task = blip::import_weights(file, tiny("captioning"));
  CHECK(at::equal(task.at("text_decoder.bert" + table), first));
}

TEST_CASE("BLIP: a pre-trained model becomes a captioner, an answerer and a retriever") {
  blip::BlipModel model(tiny(), Key(1));
  model.train(false);
  Weights file = values(model.parameters());
  for (const auto& [name, value] : values(model.buffers())) file[name] = value;
  const Batch batch = make_batch(3);
  const LossTerm expected = model.losses(batch, {{{"lm", 1.0}}}, step_of(0)).at("lm");
  blip::BlipModel captioner(tiny("captioning"), Key(2));
  assign_weights(captioner, blip::import_weights(file, tiny("captioning")));
  captioner.train(false);
  CHECK(captioner.losses_known() == std::vector<std::string>{"lm"});
  const LossTerm got = captioner.losses(batch, {{{"lm", 1.0}}}, step_of(0)).at("lm");
  CHECK(got.sum.item<double>() == Approx(expected.sum.item<double>()).epsilon(1e-6));
  blip::BlipModel retriever(tiny("retrieval"), Key(2));
  assign_weights(retriever, blip::import_weights(file, tiny("retrieval")));
  retriever.train(false);
  CHECK(at::equal(retriever.abilities().match(batch), model.abilities().match(batch)));
  blip::BlipModel answerer(tiny("answering"), Key(2));
  assign_weights(answerer, blip::import_weights(file, tiny("answering")));
}

TEST_CASE("BLIP: captions are those that transformers writes") {
  for (const char* name : {"blip_caption", "blip_caption_untied"}) {
    const auto settings = blip::from_config_json(bytes_of_file(fixture(name) / "config.json"));
    blip::BlipModel model(blip::config_of(*settings), Key(1));
    assign_weights(
        model, blip::import_weights(load_safetensors(fixture(name) / "model.safetensors").tensors,
                                    *settings));
    model.train(false);
    const auto recorded = load_safetensors(fixture(name) / "reference.safetensors").tensors;
    const std::vector<std::pair<std::string, GenerateOptions>> cases{
        {"greedy", {.max_length = 12}},
        {"greedy_rules", {.max_length = 14, .min_length = 9, .repetition_penalty = 1.3}},
        {"beams", {.max_length = 12, .beams = 3}},
        {"beams_rules",
         {.max_length = 13,
          .min_length = 6,
          .beams = 4,
          .repetition_penalty = 1.5,
          .length_penalty = 2}},
        {"beams_short", {.max_length = 10, .beams = 2, .length_penalty = -1}}};
    for (const auto& [key, options] : cases) {
      CAPTURE(name, key);
      Batch prompts;
      prompts.images = Images{recorded.at("input.pixel_values"), {}};
      const auto texts = model.abilities().generate(prompts, options);
      const at::Tensor& theirs = recorded.at("extra.generated." + key);
      REQUIRE(static_cast<std::int64_t>(texts.size()) == theirs.size(0));
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const at::Tensor all = theirs[static_cast<std::int64_t>(i)];
        const at::Tensor row = all.narrow(0, 1, all.size(0) - 1);  // behind [DEC]
        const auto length = static_cast<std::int64_t>(texts[i].size());
        REQUIRE(length <= row.size(0));
        CHECK(at::equal(at::tensor(texts[i], at::kLong), row.narrow(0, 0, length)));
        const at::Tensor rest = row.narrow(0, length, row.size(0) - length);
        CHECK(rest.eq(0).logical_or(rest.eq(2)).all().item<bool>());  // beams are filled with [SEP]
      }
    }
  }
}

TEST_CASE("generation: draws are a function of the key and stay within the likeliest") {
  const at::Tensor logits = at::tensor({0.0, 2.0, 1.9, -1.0, 1.0}, at::kFloat);
  const NextLogits next = [&](const at::Tensor& ids, const at::Tensor&) {
    return logits.unsqueeze(0).expand({ids.size(0), 5});
  };
  const at::Tensor prompt = at::full({4, 1}, 0, at::kLong);
  GenerateOptions options{
      .max_length = 40, .min_length = 40, .sample = true, .top_p = 0.8, .key = Key(3)};
  const auto once = generate(next, prompt, 3, options);
  CHECK(once == generate(next, prompt, 3, options));
  options.key = Key(4);
  CHECK(once != generate(next, prompt, 3, options));
  CHECK(once[0] != once[1]);
  std::set<std::int64_t> seen;
  for (const auto& text : once) {
    CHECK(text.size() == 40);
    seen.insert(text.begin() + 1, text.end());
  }
  CHECK(seen == std::set<std::int64_t>{1, 2, 4});  // 0.42 + 0.38 is below 0.8 by a little
  options.top_p = 0.5;
  seen.clear();
  for (const auto& text : generate(next, prompt, 3, options)) {
    seen.insert(text.begin() + 1, text.end());
  }
  CHECK(seen == std::set<std::int64_t>{1, 2});
  options = {.max_length = 9, .sample = true, .top_k = 1};
  for (const auto& text : generate(next, prompt, 1, options)) CHECK(text.size() == 2);  // 1 ends
  CHECK_THROWS_AS(generate(next, prompt, 3, {.beams = 2, .sample = true}), Error);
}

TEST_CASE("BLIP: captions and questions are cleaned as the released code cleans them") {
  CHECK(blip::clean_text(" A Man, who's  \"BIG\" (and #1): one-two/three.\n", 30) ==
        "a man, who's big and 1 one-two/three");
  CHECK(blip::clean_text("What is on No.5? (left)", 50, /*question=*/true) ==
        "what is on no5? left");
  CHECK(blip::clean_text("No.5 of it", 30) == "no 5 of it");
  CHECK(blip::clean_text("one two three four", 3) == "one two three");
  CHECK(blip::clean_text("\xC3\x84pfel", 3) == "\xC3\xA4pfel");
  CHECK(blip::clean_text(" . ", 3).empty());
  CHECK(tiny().most_words() == 30);
  CHECK(tiny("reasoning").most_words() == 40);
  CHECK(tiny("answering").most_words() == 50);
}

TEST_CASE("BLIP: what a sample and a query say is cleaned, its prompt and its answers are not") {
  const std::vector<std::string> lines(4, "a red square: and a blue circle; a picture of two.");
  const auto tokenizer = std::make_shared<const text::Tokenizer>(text::train_wordpiece(lines, 80));
  const auto ids_of = [&](const std::string& text) {
    const auto ids = tokenizer->encode_with_marks(text, 12);
    return std::vector<std::int64_t>(ids.begin(), ids.end());
  };
  const auto row_in = [](const Tokens& tokens) {
    const auto* ids = tokens.ids.const_data_ptr<std::int64_t>();
    return std::vector<std::int64_t>(ids, ids + tokens.ids.numel());
  };
  data::Sample sample;
  sample.texts = {"A red square; a blue circle."};
  sample.pictures.emplace_back();
  sample.pictures[0].pixels = {24, 16, std::vector<std::uint8_t>(24 * 16 * 3, 100)};
  blip::Config config = tiny("captioning");
  config.prompt = "a picture: ";
  Processor processor = blip::make_processor(config, tokenizer);
  CHECK(row_in(*processor.prepare(sample, Key(1), false).text) ==
        ids_of("a picture: a red square a blue circle"));
  CHECK(row_in(processor.text("A RED square.")) == ids_of("a red square"));
  CHECK(row_in(processor.answer("two.")) == ids_of("two."));
  config.text.words = 2;
  processor = blip::make_processor(config, tokenizer);
  CHECK(row_in(processor.text("A red square.")) == ids_of("a red"));
  config.text.clean = false;
  processor = blip::make_processor(config, tokenizer);
  CHECK(row_in(processor.text("a red square.")) == ids_of("a red square."));
  CHECK(ids_of("a red square.") != ids_of("a red square"));

  sample.question = "Two; or a (red) circle.";
  config = tiny("answering");
  processor = blip::make_processor(config, tokenizer);
  CHECK(row_in(*processor.prompt(sample, "").text) == ids_of("two or a red circle"));
  CHECK(row_in(*processor.prepare(sample, Key(1), false).text) == ids_of("two or a red circle"));
}

TEST_CASE("BLIP: config.json round trip, and what pre-training takes as smoothing") {
  for (const char* kind : {"pretrain", "captioning", "answering", "retrieval", "contrast"}) {
    blip::Config config = tiny(kind);
    config.text.label_smoothing = 0.3;
    config.prompt = "a picture of ";
    config.text.clean = config.kind == "answering";
    config.text.words = 7;
    const std::string json = blip::to_config_json(config);
    const auto back = blip::from_config_json(json);
    CHECK(blip::to_config_json(*back) == json);
    CHECK(blip::config_of(*back).kind == kind);
    CHECK(blip::config_of(*back).text.clean == config.text.clean);
    CHECK(blip::config_of(*back).text.words == 7);
  }
  const std::string original =
      R"({"architectures": ["BLIP_Pretrain"], "text_config": {"label_smoothing": 0.0}})";
  CHECK(blip::config_of(*blip::from_config_json(original)).text.label_smoothing == 0.1);
}

TEST_CASE("BLIP: the levels of chance are those of guessing, and an untrained model is there") {
  blip::BlipModel model(tiny(), Key(1));
  const auto levels = model.chance_levels(8);
  CHECK(levels.size() == 3);
  CHECK(levels.at("itc").value == Approx(std::log(8.0 + 6)));  // the batch and the queue
  CHECK(model.losses_of_micro_batch() == std::vector<std::string>{"itc"});
  CHECK_FALSE(model.sees_all_ranks());
  CHECK(blip::BlipModel(tiny("captioning"), Key(1)).losses_of_micro_batch().empty());
  // One pair in three matches: the entropy of that.
  CHECK(levels.at("itm").value == Approx(-(std::log(1.0 / 3) + 2 * std::log(2.0 / 3)) / 3));
  CHECK(levels.at("lm").value == Approx(std::log(50.0)));
  const LossTerms terms = model.losses(make_batch(4), all_losses, step_of(0));
  const auto counts = model.counts(make_batch(4), all_losses);
  for (const char* name : {"itm", "lm"}) {
    CAPTURE(name);
    const double loss = terms.at(name).sum.item<double>() / counts.at(name);
    CHECK(loss == Approx(levels.at(name).value).epsilon(0.25));
  }
  const auto captions = blip::BlipModel(tiny("captioning"), Key(1)).chance_levels(8);
  CHECK(captions.size() == 1);
  CHECK(captions.at("lm").value == Approx(std::log(50.0)));
  CHECK(blip::BlipModel(tiny("reasoning"), Key(1)).chance_levels(8).at("nlvr2").value ==
        Approx(std::log(2.0)));
}

}  // namespace blip_test
