#include "tandem/objectives/hard_negatives.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tandem/base/error.h"

namespace hard_negatives_test {

using namespace tandem;
using objectives::draw_columns;
using objectives::draw_others;
using objectives::draw_unlike;

TEST_CASE("columns are drawn as often as their weights say, and never one of weight zero") {
  const std::int64_t rows = 4000;
  const at::Tensor weights = at::tensor({0.0, 0.5, 0.0, 1.5, 2.0, 0.0}).expand({rows, 6});
  const at::Tensor drawn = draw_columns(weights, at::zeros({rows}, at::kLong), Key(3));
  std::map<std::int64_t, int> counts;
  for (std::int64_t i = 0; i < rows; ++i) ++counts[drawn[i].item<std::int64_t>()];
  CHECK(counts.size() == 3);
  CHECK(counts[1] / 4000.0 == Approx(0.125).margin(0.02));
  CHECK(counts[3] / 4000.0 == Approx(0.375).margin(0.03));
  CHECK(counts[4] / 4000.0 == Approx(0.5).margin(0.03));
}

TEST_CASE("a row whose weights are all zero is drawn evenly, without its own sample") {
  const std::int64_t rows = 3000;
  const at::Tensor own = at::arange(rows).remainder(4);
  const at::Tensor drawn = draw_columns(at::zeros({rows, 4}), own, Key(1));
  std::map<std::int64_t, int> counts;  // distance from the own column
  for (std::int64_t i = 0; i < rows; ++i) {
    ++counts[(drawn[i] - own[i]).remainder(4).item<std::int64_t>()];
  }
  CHECK(counts.size() == 3);
  for (std::int64_t distance = 1; distance < 4; ++distance) {
    CHECK(counts[distance] / 3000.0 == Approx(1 / 3.0).margin(0.03));
  }
}

TEST_CASE("the tiniest weights are weights, and other rows do not matter") {
  at::Tensor weights = at::zeros({2, 3});
  weights[0][1] = 1e-38;
  weights[1][2] = 1;
  const at::Tensor own = at::tensor({0, 1}, at::kLong);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CHECK(at::equal(draw_columns(weights, own, Key(seed)), at::tensor({1, 2}, at::kLong)));
  }
}

TEST_CASE("negatives are a function of the key alone, and carry no gradient") {
  const at::Tensor weights = at::rand({16, 16}).set_requires_grad(true);
  const at::Tensor own = at::arange(16);
  const at::Tensor drawn = draw_columns(weights, own, Key(7));
  at::rand({3});  // torch's own generator has no part in it
  CHECK(at::equal(drawn, draw_columns(weights, own, Key(7))));
  CHECK_FALSE(at::equal(drawn, draw_columns(weights, own, Key(8))));
  CHECK_FALSE(drawn.requires_grad());
}

TEST_CASE("a random negative is of another id, each as often as the next, by the key alone") {
  const at::Tensor ids = at::tensor({5, 7, 5, 8}, at::kLong);
  std::map<std::int64_t, std::map<std::int64_t, int>> counts;  // of columns, by row
  constexpr int times = 3000;
  for (std::uint64_t seed = 0; seed < times; ++seed) {
    const at::Tensor drawn = draw_unlike(ids, Key(seed));
    for (std::int64_t i = 0; i < 4; ++i) ++counts[i][drawn[i].item<std::int64_t>()];
  }
  const std::map<std::int64_t, std::set<std::int64_t>> allowed{
      {0, {1, 3}}, {1, {0, 2, 3}}, {2, {1, 3}}, {3, {0, 1, 2}}};
  for (const auto& [row, columns] : allowed) {
    CHECK(counts[row].size() == columns.size());
    for (const std::int64_t column : columns) {
      const double share = 1.0 / static_cast<double>(columns.size());
      CHECK(counts[row][column] / static_cast<double>(times) == Approx(share).margin(0.03));
    }
  }
  CHECK(at::equal(draw_unlike(ids, Key(3)), draw_unlike(ids, Key(3))));
  const at::Tensor alike = draw_unlike(at::zeros({4}, at::kLong), Key(1));
  CHECK(alike.ne(at::arange(4)).all().item<bool>());  // any but the own one
}

TEST_CASE("another sample is any but the own one") {
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const at::Tensor others = draw_others(3, Key(seed));
    for (std::int64_t i = 0; i < 3; ++i) seen.emplace(i, others[i].item<std::int64_t>());
  }
  CHECK(seen == std::set<std::pair<std::int64_t, std::int64_t>>{
                    {0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}});
  CHECK_THROWS_AS(draw_others(1, Key(0)), Error);
}

}  // namespace hard_negatives_test
