#include "models/feature_queues.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <limits>

namespace feature_queues_test {

using namespace tandem;
using namespace tandem::models;

namespace {

at::Tensor rows(std::int64_t first, std::int64_t count) {  // [count, 2]
  const at::Tensor numbers = at::arange(first, first + count, at::kFloat);
  return at::stack({numbers, -numbers}, 1);
}

at::Tensor pictures(std::int64_t first, std::int64_t count) {
  return at::arange(first, first + count, at::kLong);
}

}  // namespace

TEST_CASE("queues are written around their end, of more rows than fit the last ones") {
  FeatureQueues queues(2, 5, /*keep_pictures=*/true, Key(1));
  queues.write(rows(1, 3), -rows(1, 3), pictures(1, 3));
  CHECK(queues.next.item<std::int64_t>() == 3);
  queues.write(rows(4, 4), -rows(4, 4), pictures(4, 4));
  CHECK(at::equal(queues.image[0], at::tensor({6, 7, 3, 4, 5}, at::kFloat)));
  CHECK(at::equal(queues.text, -queues.image));
  CHECK(at::equal(queues.pictures, at::tensor({6, 7, 3, 4, 5}, at::kLong).view({1, 5})));
  CHECK(queues.next.item<std::int64_t>() == 2);
  queues.write(rows(10, 7), rows(10, 7), pictures(10, 7));
  CHECK(at::equal(queues.image[0], at::tensor({15, 16, 12, 13, 14}, at::kFloat)));
  CHECK(queues.next.item<std::int64_t>() == 2);
}

TEST_CASE("a broken step changes no bit of the queues, and not where they are written next") {
  FeatureQueues queues(2, 5, /*keep_pictures=*/true, Key(1));
  queues.write(rows(1, 3), -rows(1, 3), pictures(1, 3));
  const at::Tensor image = queues.image.clone(), text = queues.text.clone(),
                   seen = queues.pictures.clone();
  const at::Tensor broken = at::full({4, 2}, std::numeric_limits<float>::quiet_NaN());
  queues.begin();
  queues.add(broken, broken, pictures(4, 4), {0, 1, 2, 3});
  queues.advance(nullptr, at::ones({}));
  CHECK(at::equal(queues.image, image));
  CHECK(at::equal(queues.text, text));
  CHECK(at::equal(queues.pictures, seen));
  CHECK(queues.next.item<std::int64_t>() == 3);
  // The next one that is well is written there.
  queues.begin();
  queues.add(rows(8, 2), rows(8, 2), pictures(8, 2), {4, 5});
  queues.advance(nullptr, at::zeros({}));
  CHECK(at::isfinite(queues.image).all().item<bool>());
  CHECK(queues.image[0][3].item<float>() == 8);
  CHECK(queues.pictures[0][4].item<std::int64_t>() == 9);
  CHECK(queues.next.item<std::int64_t>() == 0);
}

}  // namespace feature_queues_test
