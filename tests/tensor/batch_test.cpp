#include "tandem/tensor/batch.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <functional>

#include "tandem/base/error.h"

namespace batch_test {

using namespace tandem;

namespace {

Batch example(std::int64_t position, std::int64_t length) {
  Batch one;
  one.positions = {position};
  one.picture_ids = at::full({1}, 100 + position, at::kLong);
  one.images = Images{at::full({1, 3, 2, 2}, position, at::kByte)};
  Tokens text;
  text.ids = at::full({1, length}, position + 1, at::kLong);
  text.mask = at::ones({1, length}, at::kLong);
  text.labels = at::full({1, length}, position, at::kLong);
  text.segments = at::zeros({1, length}, at::kLong);
  text.positions = at::arange(length, at::kLong).unsqueeze(0);
  one.text = text;
  return one;
}

// patches [count, 4] in one grid.
Batch patched(std::int64_t count) {
  Batch one;
  one.positions = {0};
  one.patches =
      PackedPatches{at::full({count, 4}, count, at::kFloat),
                    at::tensor(std::vector<std::int64_t>{1, 1, count}, at::kLong).unsqueeze(0),
                    at::tensor(std::vector<int>{0, static_cast<int>(count)}, at::kInt)};
  return one;
}

// Collating these fails; the message.
std::string refusal(const std::vector<Batch>& examples) {
  try {
    collate(examples, 0);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    return error.message();
  }
  FAIL("expected an Error; nothing was thrown");
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("collate stacks examples and pads each part of the text with its own filling") {
  const Batch batch = collate({example(4, 2), example(7, 3)}, 49);
  CHECK(batch.size() == 2);
  CHECK(batch.positions == std::vector<std::int64_t>{4, 7});
  CHECK(at::equal(batch.picture_ids, at::tensor({104, 107}, at::kLong)));
  CHECK(batch.images->pixels.sizes() == at::IntArrayRef({2, 3, 2, 2}));
  CHECK(batch.images->pixels[1][2][0][1].item<int>() == 7);
  const Tokens& text = *batch.text;
  CHECK(at::equal(text.ids, at::tensor({5, 5, 49, 8, 8, 8}, at::kLong).view({2, 3})));
  CHECK(at::equal(text.mask, at::tensor({1, 1, 0, 1, 1, 1}, at::kLong).view({2, 3})));
  CHECK(at::equal(text.labels, at::tensor({4, 4, -100, 7, 7, 7}, at::kLong).view({2, 3})));
  CHECK(at::equal(text.segments, at::tensor({0, 0, -1, 0, 0, 0}, at::kLong).view({2, 3})));
  CHECK(at::equal(text.positions, at::tensor({0, 1, 0, 0, 1, 2}, at::kLong).view({2, 3})));
  CHECK_FALSE(batch.patches.has_value());
}

TEST_CASE("patches that are to be guessed are stacked, and all examples have them or none") {
  const auto hidden = [](std::int64_t position) {
    Batch one = example(position, 1);
    one.images->hidden = at::full({1, 4}, position, at::kByte);
    return one;
  };
  Batch batch = collate({hidden(0), hidden(1)}, 0);
  CHECK(at::equal(batch.images->hidden,
                  at::tensor({0, 0, 0, 0, 1, 1, 1, 1}, at::kByte).view({2, 4})));
  std::int64_t seen = 0;
  each_tensor(batch, [&](at::Tensor& tensor) { seen += tensor.is_same(batch.images->hidden); });
  CHECK(seen == 1);
  CHECK(contains(refusal({hidden(0), example(1, 1)}), "images.hidden"));
}

TEST_CASE("answers know their questions' rows, and questions may have several answers or none") {
  const auto asked = [](std::int64_t answers, std::int64_t length) {
    Batch one = example(answers, 1);
    one.answers = Tokens{};
    one.answers->ids = at::full({answers, length}, answers, at::kLong);
    one.answers->mask = at::ones({answers, length}, at::kLong);
    one.answer_rows = at::zeros({answers}, at::kLong);
    one.answer_weights = at::full({answers}, 0.5, at::kFloat);
    return one;
  };
  Batch batch = collate({asked(2, 1), asked(0, 1), asked(1, 3)}, 9);
  CHECK(at::equal(batch.answers->ids,
                  at::tensor({2, 9, 9, 2, 9, 9, 1, 1, 1}, at::kLong).view({3, 3})));
  CHECK(at::equal(batch.answer_rows, at::tensor({0, 0, 2}, at::kLong)));
  CHECK(batch.answer_weights.sizes() == at::IntArrayRef({3}));
  const Batch twice = collate({batch, batch}, 9);
  CHECK(at::equal(twice.answer_rows, at::tensor({0, 0, 2, 3, 3, 5}, at::kLong)));
  std::int64_t seen = 0;
  each_tensor(batch, [&](at::Tensor& tensor) {
    for (const at::Tensor& part :
         {batch.answers->ids, batch.answers->mask, batch.answer_rows, batch.answer_weights}) {
      seen += tensor.is_same(part);
    }
  });
  CHECK(seen == 4);
  CHECK(contains(refusal({asked(1, 1), example(1, 1)}), "answers.ids"));
}

TEST_CASE("texts of other pictures stand in the order of the rows, as many for each") {
  const auto told = [](std::int64_t position, std::int64_t length) {
    Batch one = example(position, 1);
    one.others =
        Tokens{at::full({2, length}, position, at::kLong), at::ones({2, length}, at::kLong)};
    one.others->lengths = {length, length};
    return one;
  };
  Batch batch = collate({told(4, 1), told(7, 2)}, 9);
  CHECK(at::equal(batch.others->ids, at::tensor({4, 9, 4, 9, 7, 7, 7, 7}, at::kLong).view({4, 2})));
  CHECK(
      at::equal(batch.others->mask, at::tensor({1, 0, 1, 0, 1, 1, 1, 1}, at::kLong).view({4, 2})));
  CHECK(batch.others->lengths == std::vector<std::int64_t>{1, 1, 2, 2});
  std::int64_t seen = 0;
  each_tensor(batch, [&](at::Tensor& tensor) {
    seen += tensor.is_same(batch.others->ids) || tensor.is_same(batch.others->mask);
  });
  CHECK(seen == 2);
  CHECK(contains(refusal({told(0, 1), example(1, 1)}), "others.ids"));
}

TEST_CASE("prompts are padded on the left where the model writes on behind them") {
  const Batch batch = collate({example(4, 2), example(7, 3)}, 49, Padding::left);
  CHECK(at::equal(batch.text->ids, at::tensor({49, 5, 5, 8, 8, 8}, at::kLong).view({2, 3})));
  CHECK(at::equal(batch.text->mask, at::tensor({0, 1, 1, 1, 1, 1}, at::kLong).view({2, 3})));
}

TEST_CASE("several pictures a sample, or none, know their rows") {
  const auto shown = [](std::int64_t position, std::int64_t pictures) {
    Batch one = example(position, 1);
    one.images.reset();
    if (pictures > 0) {
      one.images = Images{at::full({pictures, 3, 2, 2}, position, at::kByte)};
      one.images->rows = at::zeros({pictures}, at::kLong);
    }
    return one;
  };
  Batch batch = collate({shown(0, 0), shown(1, 2), shown(2, 0), shown(3, 1)}, 0);
  CHECK(at::equal(batch.images->rows, at::tensor({1, 1, 3}, at::kLong)));
  CHECK(batch.images->pixels.sizes() == at::IntArrayRef({3, 3, 2, 2}));
  CHECK(batch.images->pixels[2][0][0][0].item<int>() == 3);
  std::int64_t seen = 0;
  each_tensor(batch, [&](at::Tensor& t) { seen += t.is_same(batch.images->rows) ? 1 : 0; });
  CHECK(seen == 1);
  CHECK(at::equal(collate({batch, batch}, 0).images->rows,
                  at::tensor({1, 1, 3, 5, 5, 7}, at::kLong)));
  CHECK_FALSE(collate({shown(0, 0), shown(1, 0)}, 0).images.has_value());
  CHECK(contains(refusal({shown(0, 1), example(1, 1)}), "images.rows"));
}

TEST_CASE("rejected answers are padded to their own longest") {
  const auto pair = [](std::int64_t chosen, std::int64_t rejected) {
    Batch one = example(0, chosen);
    one.rejected = example(0, rejected).text;
    return one;
  };
  Batch batch = collate({pair(2, 1), pair(1, 4)}, 9);
  CHECK(batch.text->ids.sizes() == at::IntArrayRef({2, 2}));
  CHECK(batch.rejected->ids.sizes() == at::IntArrayRef({2, 4}));
  CHECK(at::equal(batch.rejected->labels[0], at::tensor({0, -100, -100, -100}, at::kLong)));
  std::int64_t seen = 0;
  each_tensor(batch, [&](at::Tensor& t) { seen += t.is_same(batch.rejected->mask) ? 1 : 0; });
  CHECK(seen == 1);
  CHECK(contains(refusal({pair(1, 1), example(1, 1)}), "rejected.ids"));
}

TEST_CASE("labels, scores and a second picture are stacked, and moved with the rest") {
  const auto judged = [](std::int64_t position) {
    Batch one = example(position, 1);
    one.second = Images{at::full({1, 3, 2, 2}, 50 + position, at::kByte)};
    one.labels = at::full({1}, position, at::kLong);
    one.scores = at::full({1, 3}, 0.25 * static_cast<double>(position), at::kFloat);
    return one;
  };
  Batch batch = collate({judged(1), judged(2)}, 0);
  CHECK(at::equal(batch.labels, at::tensor({1, 2}, at::kLong)));
  CHECK(at::equal(batch.scores,
                  at::tensor({0.25, 0.25, 0.25, 0.5, 0.5, 0.5}, at::kFloat).view({2, 3})));
  CHECK(batch.images->pixels[1][0][0][0].item<int>() == 2);
  CHECK(batch.second->pixels[1][0][0][0].item<int>() == 52);
  std::int64_t seen = 0;
  each_tensor(batch, [&](at::Tensor& tensor) {
    for (const at::Tensor* own : {&batch.labels, &batch.scores, &batch.second->pixels}) {
      seen += tensor.is_same(*own) ? 1 : 0;
    }
  });
  CHECK(seen == 3);
  CHECK(contains(refusal({judged(0), example(1, 1)}), "labels: expected it in all examples"));
  Batch other = judged(1);
  other.scores = at::zeros({1, 4}, at::kFloat);
  CHECK(contains(refusal({judged(0), other}), "scores: expected equal shapes"));
  other = judged(1);
  other.second->pixels = at::zeros({1, 3, 4, 4}, at::kByte);
  CHECK(contains(refusal({judged(0), other}), "second.pixels"));
}

TEST_CASE("second pictures of several sizes are padded on their own") {
  const auto sized = [](std::int64_t side) {
    Batch one = example(0, 1);
    one.images.reset();
    one.second = Images{at::full({1, 3, side, side}, 9, at::kByte),
                        at::ones({1, side, side}, at::kByte),
                        {},
                        {{side, side}}};
    return one;
  };
  const Batch batch = collate({sized(2), sized(4)}, 0);
  CHECK(batch.second->pixels.sizes() == at::IntArrayRef({2, 3, 4, 4}));
  CHECK(batch.second->mask[0].sum().item<int>() == 4);
  CHECK(batch.second->sizes[1][0] == 4);
}

TEST_CASE("positions of three axes are padded along tokens and stacked along rows") {
  std::vector<Batch> examples{example(0, 1), example(1, 2)};
  examples[0].text->positions = at::full({3, 1, 1}, 5, at::kLong);
  examples[1].text->positions = at::full({3, 1, 2}, 6, at::kLong);
  const at::Tensor positions = collate(examples, 0).text->positions;
  CHECK(positions.sizes() == at::IntArrayRef({3, 2, 2}));
  CHECK(positions[2][0][0].item<int>() == 5);
  CHECK(positions[2][0][1].item<int>() == 0);
  CHECK(positions[1][1][1].item<int>() == 6);
}

TEST_CASE("parts that no example has are absent, and nothing collates to nothing") {
  Batch bare;
  bare.positions = {3};
  const Batch batch = collate({bare, bare}, 0);
  CHECK(batch.positions == std::vector<std::int64_t>{3, 3});
  CHECK_FALSE(batch.picture_ids.defined());
  CHECK_FALSE(batch.images.has_value());
  CHECK_FALSE(batch.text.has_value());
  CHECK(collate({}, 0).size() == 0);
  std::vector<Batch> plain{example(0, 1), example(1, 1)};
  for (Batch& one : plain) one.text->labels = at::Tensor();
  CHECK_FALSE(collate(plain, 0).text->labels.defined());
}

TEST_CASE("packed patches are laid end to end, examples without pictures adding nothing") {
  Batch text_only;
  text_only.positions = {1};
  const Batch batch = collate({patched(2), text_only, patched(3)}, 0);
  REQUIRE(batch.patches.has_value());
  CHECK(batch.patches->patches.sizes() == at::IntArrayRef({5, 4}));
  CHECK(batch.patches->patches[2][0].item<float>() == 3);
  CHECK(at::equal(batch.patches->grid_thw, at::tensor({1, 1, 2, 1, 1, 3}, at::kLong).view({2, 3})));
  CHECK(batch.patches->cu_seqlens.scalar_type() == at::kInt);
  CHECK(at::equal(batch.patches->cu_seqlens, at::tensor({0, 2, 5}, at::kInt)));
}

TEST_CASE("packed patches: several pictures of a sample stay in order, and their lengths go on") {
  Batch two = patched(2);
  two.patches->patches = at::arange(20, at::kFloat).view({5, 4});
  two.patches->grid_thw = at::tensor({1, 1, 2, 3, 1, 1}, at::kLong).view({2, 3});
  two.patches->cu_seqlens = at::tensor({0, 2, 5}, at::kInt);
  Batch none = patched(0);
  none.patches->grid_thw = at::empty({0, 3}, at::kLong);
  none.patches->cu_seqlens = at::zeros({1}, at::kInt);
  const Batch batch = collate({none, two, patched(1), two}, 0);
  CHECK(batch.patches->patches.size(0) == 11);
  CHECK(batch.patches->grid_thw.size(0) == 5);
  CHECK(at::equal(batch.patches->cu_seqlens, at::tensor({0, 2, 5, 6, 8, 11}, at::kInt)));
  CHECK(batch.patches->patches[10][3].item<float>() == 19);
}

TEST_CASE("the grids of packed patches stay on the host when a batch moves") {
  const Batch moved = to(collate({patched(2), patched(3)}, 0), at::kMeta);
  CHECK(moved.patches->patches.is_meta());
  CHECK(moved.patches->grid_thw.is_cpu());
  CHECK(moved.patches->cu_seqlens.is_cpu());
}

TEST_CASE("examples that disagree are refused with the name of the part") {
  const auto changed = [](const std::function<void(Batch&)>& change) {
    std::vector<Batch> examples{example(0, 2), example(1, 2)};
    change(examples[1]);
    return refusal(examples);
  };
  CHECK(contains(changed([](Batch& b) {
                   b.images->pixels = at::zeros({1, 3, 4, 4}, at::kByte);
                 }),
                 "images.pixels: expected equal shapes"));
  CHECK(contains(changed([](Batch& b) {
                   b.images->pixels = at::zeros({1, 3, 2, 2}, at::kFloat);
                 }),
                 "images.pixels"));
  CHECK(contains(changed([](Batch& b) { b.images.reset(); }), "1 of 2"));
  CHECK(contains(changed([](Batch& b) { b.text.reset(); }), "text.ids"));
  CHECK(contains(changed([](Batch& b) { b.text->labels = at::Tensor(); }), "text.labels"));
  CHECK(contains(changed([](Batch& b) {
                   b.text->mask = at::ones({1, 5}, at::kLong);
                 }),
                 "text.mask: expected as many tokens as ids"));
  CHECK(contains(changed([](Batch& b) { b.text->ids = at::ones({2}, at::kLong); }), "text.ids"));
  CHECK(contains(changed([](Batch& b) { b.text->mask = at::ones({2}, at::kLong); }), "text.mask"));
  CHECK(contains(changed([](Batch& b) { b.text->ids = at::ones({1, 2}, at::kInt); }), "text.ids"));
  CHECK(contains(changed([](Batch& b) { b.picture_ids = at::Tensor(); }), "picture_ids"));
  Batch narrow = patched(2), broken = patched(2);
  narrow.patches->patches = at::zeros({2, 3});
  broken.patches->cu_seqlens = at::zeros({1, 2}, at::kInt);
  CHECK(contains(refusal({patched(1), narrow}), "patches.patches"));
  CHECK(contains(refusal({broken, patched(1)}), "patches.cu_seqlens"));
}

TEST_CASE("a batch's bytes are those of all its tensors") {
  CHECK(bytes_of(Batch{}) == 0);
  const Batch batch = collate({example(0, 2), example(1, 3)}, 0);
  CHECK(bytes_of(batch) == 2 * 8 + 2 * 12 + 5 * 2 * 3 * 8);
  CHECK(bytes_of(patched(3)) == 3 * 4 * 4 + 3 * 8 + 2 * 4);
}

TEST_CASE("moving a batch to the device where it is changes nothing") {
  const Batch batch = collate({example(0, 2), example(1, 3)}, 0);
  const Batch moved = to(batch, at::kCPU);
  CHECK(moved.positions == batch.positions);
  CHECK(at::equal(moved.text->ids, batch.text->ids));
  CHECK(at::equal(moved.images->pixels, batch.images->pixels));
  CHECK(moved.images->pixels.scalar_type() == at::kByte);
  CHECK_FALSE(moved.patches.has_value());
}

}  // namespace batch_test
