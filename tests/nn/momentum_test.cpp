#include "tandem/nn/momentum.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/nn/linear.h"

namespace momentum_test {

using namespace tandem;
using namespace tandem::nn;

namespace {

// Two layers of which the second may be the first once more.
struct Pair : torch::nn::Module {
  std::shared_ptr<Linear> a, b;

  explicit Pair(bool shared, double value) {
    a = register_module("a", std::make_shared<Linear>(2, 2));
    b = register_module("b", shared ? a : std::make_shared<Linear>(2, 2));
    const at::NoGradGuard no_grad;
    for (auto& item : named_parameters()) item.value().fill_(value);
  }
};

double value_of(const at::Tensor& t) {
  CHECK(at::equal(t, at::full_like(t, t.flatten()[0].item())));
  return t.flatten()[0].item<double>();
}

at::Tensor rows(std::int64_t first, std::int64_t count) {  // [count, 2]
  const at::Tensor numbers = at::arange(first, first + count, at::kFloat);
  return at::stack({numbers, -numbers}, 1);
}

}  // namespace

TEST_CASE("copies begin as their parts and follow them with the momentum, without a gradient") {
  Pair part(false, 1), copy(false, 5);
  Momentum momentum;
  momentum.pair(part, copy);
  CHECK_FALSE(copy.a->weight.requires_grad());
  CHECK(part.a->weight.requires_grad());
  momentum.copy();
  CHECK(value_of(copy.b->bias) == 1);
  {
    const at::NoGradGuard no_grad;
    part.a->weight.fill_(11);
  }
  momentum.update(0.9);
  CHECK(value_of(copy.a->weight) == Approx(0.9 * 1 + 0.1 * 11));
  momentum.update(0.9);
  momentum.update(0.9);
  CHECK(value_of(copy.a->weight) == Approx(11 - 10 * 0.9 * 0.9 * 0.9));
  CHECK(value_of(copy.b->weight) == Approx(1));
  momentum.update(1);
  CHECK(value_of(copy.a->weight) == Approx(11 - 10 * 0.9 * 0.9 * 0.9));
  momentum.update(0);
  CHECK(value_of(copy.a->weight) == Approx(11));
  CHECK(value_of(part.a->weight) == 11);
}

TEST_CASE("a tensor that a part holds twice is moved once") {
  Pair part(true, 1), copy(true, 0);
  Momentum momentum;
  momentum.pair(part, copy);
  momentum.update(0.5);
  CHECK(value_of(copy.a->weight) == 0.5);
  CHECK(copy.a->weight.is_same(copy.b->weight));
}

TEST_CASE("a copy of another structure is refused") {
  Pair part(false, 1);
  Linear copy(2, 2);
  Momentum momentum;
  CHECK_THROWS_AS(momentum.pair(part, copy), Error);
}

TEST_CASE("copies that are skipped keep every bit, others move as without the question") {
  Pair part(false, 1.7), copy(false, 0.3), twin(false, 0.3);
  Momentum momentum, plain;
  momentum.pair(part, copy);
  plain.pair(part, twin);
  momentum.update(0.9, at::ones({}));
  CHECK(value_of(copy.a->weight) == at::full({}, 0.3).item<double>());
  momentum.update(0.9, at::zeros({}));
  plain.update(0.9);
  CHECK(at::equal(copy.a->weight, twin.a->weight));
  CHECK(at::equal(copy.b->bias, twin.b->bias));
}

TEST_CASE("a queue's columns are written as they are named") {
  const at::Tensor queue = at::zeros({2, 5});
  const auto at_columns = [](std::vector<std::int64_t> columns) {
    return at::tensor(columns, at::kLong);
  };
  enqueue(queue, rows(1, 2), at_columns({0, 1}));
  CHECK(at::equal(queue[0], at::tensor({1, 2, 0, 0, 0}, at::kFloat)));
  CHECK(at::equal(queue[1], -queue[0]));
  enqueue(queue, rows(3, 3), at_columns({2, 3, 4}));
  enqueue(queue, rows(6, 2), at_columns({4, 0}), at::zeros({}));
  CHECK(at::equal(queue[0], at::tensor({7, 2, 3, 4, 6}, at::kFloat)));
  enqueue(queue, rows(10, 5) / 0, at_columns({3, 4, 0, 1, 2}), at::ones({}));  // skipped
  CHECK(at::equal(queue[0], at::tensor({7, 2, 3, 4, 6}, at::kFloat)));
  CHECK_THROWS_AS(enqueue(queue, rows(0, 6), at_columns({0, 1, 2, 3, 4, 0})), Error);
  CHECK_THROWS_AS(enqueue(queue, rows(0, 1), at_columns({0, 1})), Error);
}

TEST_CASE("what is queued has no history") {
  const at::Tensor queue = at::zeros({2, 3});
  enqueue(queue, rows(0, 2).set_requires_grad(true) * 2, at::tensor({1, 2}, at::kLong));
  CHECK_FALSE(queue.requires_grad());
}

}  // namespace momentum_test
