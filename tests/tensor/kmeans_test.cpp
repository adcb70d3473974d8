// Places among rows, against the plainest loops.

#include "tandem/tensor/kmeans.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "tandem/tensor/autocast.h"

namespace kmeans_test {

using namespace tandem;

namespace {

at::Tensor random_rows(std::int64_t size, std::int64_t numbers, std::uint64_t seed) {
  Random random{Key(seed)};
  at::Tensor rows = at::zeros({size, numbers});
  float* const to = rows.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < rows.numel(); ++i) to[i] = static_cast<float>(random.normal());
  return rows;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).to(at::kDouble).square().sum().item<double>();
}

}  // namespace

TEST_CASE("the nearest of several centers is found, the first of equal ones") {
  const at::Tensor rows = random_rows(50, 7, 1), centers = random_rows(9, 7, 2);
  const at::Tensor found = nearest_rows(rows, centers);
  for (std::int64_t r = 0; r < 50; ++r) {
    std::int64_t nearest = 0;
    for (std::int64_t k = 1; k < 9; ++k) {
      if (distance(rows[r], centers[k]) < distance(rows[r], centers[nearest])) nearest = k;
    }
    CHECK(found[r].item<std::int64_t>() == nearest);
  }
  const at::Tensor twice = at::cat({centers, centers});
  CHECK(at::equal(nearest_rows(rows, twice), found));
}

TEST_CASE("centers move to the mean of their rows, and stay without any") {
  const at::Tensor rows = at::tensor({1.F, 0.F, 3.F, 2.F, 8.F, 8.F}).view({3, 2});
  const at::Tensor centers = at::tensor({0.F, 0.F, 5.F, 5.F, 9.F, 9.F}).view({3, 2});
  const at::Tensor moved =
      means_of_rows(rows, at::tensor(std::vector<std::int64_t>{0, 0, 2}), centers);
  CHECK(at::equal(moved, at::tensor({2.F, 1.F, 5.F, 5.F, 8.F, 8.F}).view({3, 2})));
}

TEST_CASE("the first centers are rows, each kind of row once before any comes again") {
  // Five kinds of rows, one of them rare; ten centers.
  at::Tensor rows = at::zeros({200, 3});
  for (std::int64_t r = 0; r < 200; ++r) rows[r].fill_(r == 77 ? 4.0 : static_cast<double>(r % 4));
  std::set<float> first, all;
  const at::Tensor centers = spread_rows(rows, 10, Key(5));
  for (std::int64_t k = 0; k < 10; ++k) {
    const float value = centers[k][0].item<float>();
    if (k < 5) first.insert(value);
    all.insert(value);
  }
  CHECK(first == std::set<float>{0, 1, 2, 3, 4});
  CHECK(all == first);
  CHECK(at::equal(spread_rows(rows, 10, Key(5)), centers));
  CHECK_FALSE(at::equal(spread_rows(rows, 10, Key(6)), centers));
  int asked = 0;
  CHECK_THROWS_AS(spread_rows(rows, 200, Key(5),
                              [&] {
                                if (++asked == 2) throw 1;
                              }),
                  int);
}

TEST_CASE("rounds of k-means bring rows and centers together and end at rest") {
  const at::Tensor rows = random_rows(400, 5, 3);
  at::Tensor centers = spread_rows(rows, 12, Key(1));
  const auto spread = [&] {
    const at::Tensor owner = nearest_rows(rows, centers);
    return (rows - centers.index_select(0, owner)).square().sum().item<double>();
  };
  double before = spread();
  const double start = before;
  bool rests = false;
  for (int round = 0; round < 200 && !rests; ++round) {
    const at::Tensor moved = means_of_rows(rows, nearest_rows(rows, centers), centers);
    rests = at::equal(moved, centers);
    centers = moved;
    CHECK(spread() <= before * (1 + 1e-6));
    before = spread();
  }
  CHECK(rests);
  CHECK(before < 0.9 * start);
}

TEST_CASE("one thread's bits are those of any number, and autocast changes none") {
  const at::Tensor rows = random_rows(2 * nearest_at_once + 100, 33, 4);
  const auto trained = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    at::Tensor centers;
    {
      const OneThread one;
      CHECK(at::get_num_threads() == 1);
      centers = spread_rows(rows, 40, Key(2));
      for (int i = 0; i < 3; ++i) {
        centers = means_of_rows(rows, nearest_rows(rows, centers), centers);
      }
    }
    CHECK(at::get_num_threads() == threads);
    at::set_num_threads(before);
    return centers;
  };
  const at::Tensor centers = trained(1);
  CHECK(at::equal(trained(2), centers));
  const at::Tensor outside = nearest_rows(rows, centers);
  {
    const Autocast autocast(at::kCPU, {true, at::kBFloat16});
    CHECK(at::equal(nearest_rows(rows, centers), outside));
  }
  // Shared out at whole runs, the parts are those of the whole.
  const at::Tensor cut = at::cat({nearest_rows(rows.slice(0, 0, nearest_at_once), centers),
                                  nearest_rows(rows.slice(0, nearest_at_once), centers)});
  CHECK(at::equal(cut, outside));
}

}  // namespace kmeans_test
