#include "tandem/tensor/pack.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>

#include "tandem/base/error.h"

namespace pack_test {

using namespace tandem;

namespace {

// `pictures` of them, each filled with the position.
Batch example(std::int64_t position, std::int64_t length, std::int64_t pictures) {
  Batch one;
  one.positions = {position};
  one.picture_ids = at::full({1}, 100 + position, at::kLong);
  if (pictures > 0) {
    one.images = Images{at::full({pictures, 3, 2, 2}, position, at::kByte)};
    one.images->rows = at::zeros({pictures}, at::kLong);
  }
  Tokens text;
  text.ids = at::full({1, length}, position, at::kLong);
  text.mask = at::ones({1, length}, at::kLong);
  text.labels = at::full({1, length}, position, at::kLong);
  one.text = text;
  return one;
}

std::string refusal(const std::vector<Batch>& examples) {
  try {
    pack(examples);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    return error.message();
  }
  return "";
}

bool same(const at::Tensor& tensor, std::vector<std::int64_t> wanted) {
  return at::equal(tensor, at::tensor(wanted, at::kLong).view(tensor.sizes()));
}

}  // namespace

TEST_CASE("a pack is one row without padding, in which every sample begins anew") {
  const Batch batch = pack({example(4, 2, 1), example(7, 3, 0), example(9, 1, 2)});
  CHECK(batch.size() == 3);
  CHECK(batch.positions == std::vector<std::int64_t>{4, 7, 9});
  const Tokens& text = *batch.text;
  CHECK(text.ids.sizes() == at::IntArrayRef({1, 6}));
  CHECK(same(text.ids, {4, 4, 7, 7, 7, 9}));
  CHECK(same(text.mask, {1, 1, 1, 1, 1, 1}));
  CHECK(same(text.labels, {-100, 4, -100, 7, 7, -100}));  // none is learned from another sample
  CHECK(same(text.segments, {0, 0, 1, 1, 1, 2}));
  CHECK(same(text.positions, {0, 1, 0, 1, 2, 0}));
  CHECK(text.lengths == std::vector<std::int64_t>{2, 3, 1});
  CHECK(same(batch.images->rows, {0, 2, 2}));
  CHECK(batch.images->pixels.size(0) == 3);
}

TEST_CASE("rejected answers are a second row of a pack") {
  std::vector<Batch> examples{example(4, 2, 1), example(7, 1, 0)};
  examples[0].rejected = example(5, 1, 0).text;
  examples[1].rejected = example(8, 3, 0).text;
  CHECK(packed_length(examples[0]) == 3);
  CHECK(packed_length(examples[1]) == 4);
  const Batch batch = pack(examples);
  CHECK(same(batch.text->ids, {4, 4, 7}));
  CHECK(same(batch.rejected->ids, {5, 8, 8, 8}));
  CHECK(same(batch.rejected->segments, {0, 1, 1, 1}));
  CHECK(same(batch.rejected->positions, {0, 0, 1, 2}));
  CHECK(same(batch.rejected->labels, {-100, -100, 8, 8}));
  CHECK(batch.rejected->lengths == std::vector<std::int64_t>{1, 3});
  CHECK(batch.images->pixels.size(0) == 1);
}

TEST_CASE("a pack leaves the examples as they are, and keeps positions of three axes") {
  std::vector<Batch> examples{example(1, 2, 0), example(2, 2, 0)};
  for (Batch& one : examples) {
    one.text->positions = at::arange(6, at::kLong).view({3, 1, 2});
  }
  const Batch batch = pack(examples);
  CHECK(batch.text->positions.sizes() == at::IntArrayRef({3, 1, 4}));
  CHECK(same(batch.text->positions, {0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5}));
  CHECK(same(examples[0].text->labels, {1, 1}));
}

TEST_CASE("what cannot stand in a pack is refused") {
  CHECK(pack({}).size() == 0);
  Batch two_answers = example(1, 2, 0);
  two_answers.rejected = two_answers.text;
  CHECK(refusal({two_answers, example(2, 2, 0)}) ==
        "[pack] expected rejected.ids in all examples or in none; got 1 of 2");
  Batch no_text = example(1, 2, 1);
  no_text.text.reset();
  CHECK(refusal({no_text}) == "[pack] expected a row of text; got none");
  Batch pair = example(1, 2, 1);
  pair.second = pair.images;
  CHECK(refusal({pair}).find("other parts") != std::string::npos);
  Batch unlabelled = example(1, 2, 0);
  unlabelled.text->labels = at::Tensor();
  CHECK(refusal({example(1, 2, 0), unlabelled}).find("text.labels") != std::string::npos);
  Batch three_axes = example(1, 2, 0);
  three_axes.text->positions = at::zeros({3, 1, 2}, at::kLong);
  CHECK(refusal({example(1, 2, 0), three_axes}).find("text.positions") != std::string::npos);
}

}  // namespace pack_test
