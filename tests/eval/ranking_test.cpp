#include "tandem/eval/ranking.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>

namespace ranking_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

std::vector<std::int64_t> numbers(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {whole.const_data_ptr<std::int64_t>(),
          whole.const_data_ptr<std::int64_t>() + whole.numel()};
}

at::Tensor scores() { return at::tensor({0.9, 0.1, 0.5, 0.2, 0.2, 0.8}).view({2, 3}); }

std::vector<std::int64_t> places(const at::Tensor& table, std::initializer_list<bool> right) {
  at::Tensor marks = at::zeros({2, 3}, at::kBool);
  std::int64_t i = 0;
  for (const bool one : right) marks.view({-1})[i++] = one;
  return numbers(first_right_place(table, marks));
}

}  // namespace

TEST_CASE("the first right one of several counts") {
  CHECK(places(scores(), {true, false, false, false, false, true}) ==
        std::vector<std::int64_t>{0, 0});
  CHECK(places(scores(), {false, true, true, true, false, false}) ==
        std::vector<std::int64_t>{1, 2});
}

TEST_CASE("a tie counts against the model, and a score that is no number stands last") {
  CHECK(places(scores(), {true, false, false, true, false, false}) ==
        std::vector<std::int64_t>{0, 2});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(places(at::tensor({nan, 0.1, 0.5, nan, nan, nan}).view({2, 3}),
               {true, false, false, false, true, false}) == std::vector<std::int64_t>{2, 2});
}

TEST_CASE("the best are in the order of their scores, equal ones in that of the gallery") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::int64_t> rows;
  for (const Hit& hit : best(at::tensor({0.5f, nan, 0.7f, 0.5f, 0.7f}), 10)) {
    rows.push_back(hit.row);
  }
  CHECK(rows == std::vector<std::int64_t>{2, 4, 0, 3, 1});
  CHECK(best(at::tensor({0.5f, 0.7f}), 1).size() == 1);
}

TEST_CASE("a picture finds any of its captions, a caption its own picture") {
  // Two pictures with two captions and one; rows are the axes, tilted.
  const at::Tensor image = at::tensor({1.0f, 0.0f, 0.0f, 1.0f}).view({2, 2});
  const at::Tensor text =
      at::tensor({0.1f, 0.9f, 0.8f, 0.1f, 0.2f, 0.7f}).view({3, 2});  // of pictures 0, 0, 1
  const at::Tensor owner = at::tensor({0, 0, 1}, at::kLong);
  const dist::Mesh alone;
  const Ranking to_text = rank(alone, {image, at::arange(2, at::kLong)}, {text, owner}, 2);
  // Picture 0: 0.8 is its own. Picture 1: caption 0 of the other stands before its own.
  CHECK(numbers(to_text.places) == std::vector<std::int64_t>{0, 1});
  CHECK(to_text.top[1][0].row == 0);
  CHECK(to_text.top[1][1].row == 2);
  const Ranking to_image = rank(alone, {text, owner}, {image, at::arange(2, at::kLong)}, 0);
  CHECK(numbers(to_image.places) == std::vector<std::int64_t>{1, 0, 0});
  CHECK(to_image.top[0].empty());
}

TEST_CASE("places of many queries equal those of the whole table") {
  const at::Tensor queries = at::randn({700, 8}), rows = at::randn({90, 8});
  const at::Tensor owner = at::arange(700, at::kLong).remainder(90);
  const Ranking ranking =
      rank(dist::Mesh(), {queries, owner}, {rows, at::arange(90, at::kLong)}, 3);
  const at::Tensor table = queries.matmul(rows.t());
  const at::Tensor right = owner.unsqueeze(1).eq(at::arange(90, at::kLong).unsqueeze(0));
  const auto expected = numbers(first_right_place(table, right));
  // Blocks of another size may differ in a last bit: a place moves then by one at most.
  const auto found = numbers(ranking.places);
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - expected[i]) <= 1);
  CHECK(ranking.top[699].size() == 3);
}

TEST_CASE("similarities: of a side with several rows each, the likest counts") {
  at::manual_seed(4);
  const at::Tensor texts = at::randn({5, 6}), pictures = at::randn({4, 3, 6});
  const at::Tensor scores = similarities(texts, pictures);
  CHECK(at::allclose(scores, at::matmul(pictures, texts.t()).amax(1).t()));
  CHECK(at::allclose(similarities(pictures, texts), scores.t()));
  CHECK(at::equal(similarities(texts, texts), texts.matmul(texts.t())));
  const dist::Mesh alone;
  const at::Tensor owner = at::arange(4, at::kLong);
  const Ranking ranking = rank(alone, {pictures, owner}, {texts.narrow(0, 0, 4), owner}, 2);
  CHECK(ranking.places.size(0) == 4);
  CHECK(ranking.top[1].size() == 2);
}

}  // namespace ranking_test
