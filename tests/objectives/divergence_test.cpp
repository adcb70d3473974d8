#include "tandem/objectives/divergence.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>

#include "tandem/base/error.h"
#include "tandem/objectives/token_loss.h"

namespace divergence_test {

using namespace tandem;
using namespace tandem::objectives;

TEST_CASE("the divergence of answers is torch's at their tokens, whatever the pieces") {
  at::manual_seed(5);
  const WordScores p{at::randn({3, 7, 8}), at::randn({23, 8})};
  const WordScores q{at::randn({3, 7, 6}), at::randn({23, 6})};
  at::Tensor labels = at::randint(0, 23, {3, 7}, at::kLong);
  labels.narrow(1, 0, 3).fill_(ignored);
  labels.select(0, 1).narrow(0, 5, 2).fill_(ignored);
  labels.select(0, 2).fill_(ignored);
  const auto log_of = [](const WordScores& one) {
    return at::log_softmax(at::linear(one.hidden, one.head), -1).narrow(1, 0, 6);
  };
  const at::Tensor whole =
      at::kl_div(log_of(q), log_of(p), at::Reduction::None, /*log_target=*/true).sum(2);  // [3, 6]
  const at::Tensor counted = labels.narrow(1, 1, 6).ne(ignored);
  const at::Tensor expected = (whole * counted).sum(1);
  for (const std::int64_t chunk : {0, 1, 3}) {
    CHECK(at::allclose(answer_divergence(p, q, labels, chunk), expected, 1e-4, 1e-5));
  }
  CHECK(expected[0].item<float>() > 0.1);
  CHECK(at::equal(answer_tokens(labels), at::tensor({4, 2, 0}, at::kLong)));
  CHECK(at::equal(answer_divergence(p, p, labels), at::zeros({3})));
  const WordScores other{q.hidden, at::randn({22, 6})};
  CHECK_THROWS_AS(answer_divergence(p, other, labels), Error);
}

}  // namespace divergence_test
