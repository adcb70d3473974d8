// Answers to questions in the families that have a decoder of them: what the loss, the ranking and
// what is written have in common.

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>

#include "models/albef/config.h"
#include "models/answers.h"
#include "models/blip/config.h"
#include "tandem/base/error.h"

namespace answering_test {

using namespace tandem;
using namespace tandem::models;

namespace {

constexpr std::int64_t words = 30, cls = 2, sep = 3;

std::unique_ptr<Model> albef_model(bool distill) {
  albef::Config config;
  config.kind = "answering";
  config.distill = distill;
  config.decoder_layers = 1;
  config.vision = {.image_size = 16, .patch_size = 8, .width = 12, .layers = 1, .heads = 2};
  config.text.width = 12;
  config.text.layers = 2;
  config.text.heads = 2;
  config.text.fusion_layer = 1;
  config.text.vocab_size = words;
  config.text.cls_id = cls;
  config.text.sep_id = sep;
  config.text.pad_id = 0;
  config.text.positions = 10;
  config.text.context_length = 8;
  return family("albef").make(config, Key(1));
}

std::unique_ptr<Model> blip_model() {
  blip::Config config;
  config.kind = "answering";
  config.vision.image_size = 16;
  config.vision.patch_size = 8;
  config.vision.width = config.text.width = 12;
  config.vision.layers = config.text.layers = 1;
  config.vision.heads = config.text.heads = 2;
  config.text.context_length = config.text.positions = 10;
  config.text.vocab_size = words;
  config.text.cls_id = 1;
  config.text.sep_id = sep;
  config.text.bos_id = cls;  // so that both families' answers begin with the same mark
  config.text.enc_id = 29;
  config.text.pad_id = 0;
  return family("blip").make(config, Key(1));
}

struct Named {
  std::string name{};
  std::unique_ptr<Model> model{};
};

// In evaluation mode, with weights large enough that words differ.
std::vector<Named> models_of() {
  std::vector<Named> all;
  all.push_back({"albef", albef_model(false)});
  all.push_back({"albef, distilled", albef_model(true)});
  all.push_back({"blip", blip_model()});
  for (const Named& one : all) {
    one.model->train(false);
    for (const auto& tensors : {one.model->parameters(), one.model->buffers()}) {
      for (const auto& [name, tensor] : tensors) {
        if (tensor.dim() >= 2) tensor.detach().mul_(8);
      }
    }
  }
  return all;
}

// Ids of one row each, padded; all begin with [CLS] and end with [SEP].
Tokens texts(const std::vector<std::vector<std::int64_t>>& rows, std::int64_t length) {
  Tokens tokens;
  const auto count = static_cast<std::int64_t>(rows.size());
  tokens.ids = at::full({count, length}, 0, at::kLong);
  tokens.mask = at::full({count, length}, 0, at::kLong);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& row = rows[static_cast<std::size_t>(i)];
    const auto size = static_cast<std::int64_t>(row.size());
    tokens.ids[i].narrow(0, 0, size).copy_(at::tensor(row, at::kLong));
    tokens.mask[i].narrow(0, 0, size).fill_(1);
  }
  return tokens;
}

Batch questions(std::int64_t count) {
  at::manual_seed(5);
  Batch batch;
  std::vector<std::vector<std::int64_t>> asked;
  for (std::int64_t i = 0; i < count; ++i) {
    batch.positions.push_back(i);
    asked.push_back({cls, 7 + i, 9});
    if (i % 2 == 0) asked.back().push_back(11);
  }
  batch.images = Images{at::randint(0, 256, {count, 3, 16, 16}, at::kByte)};
  batch.text = texts(asked, 5);
  return batch;
}

const std::vector<std::vector<std::int64_t>> kAnswers{
    {cls, 5, sep}, {cls, 6, 7, 8, sep}, {cls, 6, sep}, {cls, 12, 13, sep}};

Batch with_answers(Batch batch, const std::vector<std::vector<std::int64_t>>& answers,
                   const std::vector<std::int64_t>& rows, const std::vector<float>& weights) {
  batch.answers = texts(answers, 6);
  batch.answer_rows = at::tensor(rows, at::kLong);
  batch.answer_weights = at::tensor(weights, at::kFloat);
  return batch;
}

Batch row_of(const Batch& batch, std::int64_t row) {
  Batch one;
  one.positions = {row};
  one.images = Images{batch.images->pixels.narrow(0, row, 1)};
  one.text = Tokens{batch.text->ids.narrow(0, row, 1), batch.text->mask.narrow(0, row, 1)};
  return one;
}

double loss_of(Model& model, const Batch& batch) {
  const LossTerms terms = model.losses(batch, {.weights = {{"vqa", 1}}}, {});
  CHECK(terms.at("vqa").count == static_cast<double>(batch.size()));
  return terms.at("vqa").sum.item<double>();
}

}  // namespace

TEST_CASE("answers: the loss is the weighted sum of the answers' own losses") {
  for (const Named& one : models_of()) {
    CAPTURE(one.name);
    const Batch asked = questions(3);
    const std::vector<std::int64_t> rows{0, 0, 2, 1};
    const std::vector<float> weights{0.7F, 0.3F, 1.0F, 0.5F};
    const Batch batch = with_answers(asked, kAnswers, rows, weights);
    CHECK(one.model->counts(batch, {}).at("vqa") == 3);
    double sum = 0;
    for (std::size_t a = 0; a < kAnswers.size(); ++a) {
      sum += loss_of(*one.model,
                     with_answers(row_of(asked, rows[a]), {kAnswers[a]}, {0}, {weights[a]}));
    }
    CHECK(loss_of(*one.model, batch) == Approx(sum).epsilon(1e-5));
  }
}

TEST_CASE("answers: padding of questions and answers is nothing to the loss and the ranking") {
  for (const Named& one : models_of()) {
    CAPTURE(one.name);
    Batch batch = with_answers(questions(3), kAnswers, {0, 0, 2, 1}, {1, 1, 1, 1});
    const double before = loss_of(*one.model, batch);
    const Ranked ranked = one.model->abilities().rank(batch, *batch.answers, 4);
    batch.text->ids.masked_fill_(batch.text->mask.eq(0), 17);
    batch.answers->ids.masked_fill_(batch.answers->mask.eq(0), 18);
    CHECK(loss_of(*one.model, batch) == Approx(before).epsilon(1e-6));
    const Ranked again = one.model->abilities().rank(batch, *batch.answers, 4);
    CHECK(at::equal(again.index, ranked.index));
    CHECK(at::allclose(again.score, ranked.score, 1e-5, 1e-6));
  }
}

TEST_CASE("answers: candidates are ranked by the loss of the whole, the likeliest starts first") {
  for (const Named& one : models_of()) {
    if (one.name == "albef, distilled") continue;  // its loss is not the log-probability
    CAPTURE(one.name);
    const Batch asked = questions(3);
    const Tokens candidates = texts(kAnswers, 6);
    const Ranked ranked = one.model->abilities().rank(asked, candidates, 4);
    REQUIRE(ranked.index.sizes() == at::IntArrayRef({3, 4}));
    for (std::int64_t i = 0; i < 3; ++i) {
      for (std::int64_t k = 0; k < 4; ++k) {
        const auto which = static_cast<std::size_t>(ranked.index[i][k].item<std::int64_t>());
        const auto loss = [&](const std::vector<std::int64_t>& answer) {
          return loss_of(*one.model, with_answers(row_of(asked, i), {answer}, {0}, {1}));
        };
        double score = -loss(kAnswers.at(which));
        // ALBEF counts the first word once more.
        if (one.name == "albef") score -= loss({cls, kAnswers[which][1]});
        CHECK(ranked.score[i][k].item<double>() == Approx(score).epsilon(1e-4));
        if (k > 0)
          CHECK(ranked.score[i][k].item<double>() <= ranked.score[i][k - 1].item<double>());
      }
    }
    // Of two, those with the likeliest first word; both 6s begin alike.
    const Ranked two = one.model->abilities().rank(asked, candidates, 2);
    CHECK(two.index.sizes() == at::IntArrayRef({3, 2}));
    CHECK(one.model->abilities().rank(asked, candidates, 99).index.size(1) == 4);
  }
}

TEST_CASE("answers: what is written does not depend on the other rows, and ends with its mark") {
  for (const Named& one : models_of()) {
    CAPTURE(one.name);
    Batch asked = questions(3);
    asked.text->mask.fill_(1);  // the released code shows a question's padding where it writes
    const GenerateOptions options{.max_length = 6, .beams = 2};
    const auto together = one.model->abilities().generate(asked, options);
    REQUIRE(together.size() == 3);
    for (std::int64_t i = 0; i < 3; ++i) {
      const auto alone = one.model->abilities().generate(row_of(asked, i), options);
      const auto& text = together[static_cast<std::size_t>(i)];
      CHECK(alone.at(0) == text);
      CHECK(text.size() <= 5);
      CHECK((text.size() == 5 || text.back() == sep));
    }
  }
}

TEST_CASE(
    "a sample's answers become rows with weights; those that are worth nothing are left out") {
  const auto encode = [](const std::string& text) {
    return texts({std::vector<std::int64_t>(text.size() + 2, 4)},
                 static_cast<std::int64_t>(text.size() + 2));
  };
  data::Sample sample;
  sample.answers = {{"a", 0.6, -1}, {"bcd", 0.3, -1}, {"e", 0, -1}};
  Batch batch;
  add_answers(batch, sample, encode, 9);
  CHECK(batch.answers->ids.sizes() == at::IntArrayRef({2, 5}));
  CHECK(batch.answers->ids[0][3].item<std::int64_t>() == 9);
  CHECK(at::equal(batch.answer_rows, at::full({2}, 0, at::kLong)));
  CHECK(at::allclose(batch.answer_weights, at::tensor({0.6F, 0.3F})));
  sample.answers.clear();
  CHECK_THROWS_AS(add_answers(batch, sample, encode, 9), Error);
  sample.answer = "yes";
  add_answers(batch, sample, encode, 9);
  CHECK(batch.answer_weights.size(0) == 1);
}

}  // namespace answering_test
