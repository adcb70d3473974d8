#include "tandem/objectives/classification.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "tandem/base/error.h"

namespace classification_test {

using namespace tandem;
using namespace tandem::objectives;

namespace {

double number(const at::Tensor& x) { return x.item<double>(); }

// The slope of `loss` along each entry of x, by differences.
template <class Loss>
at::Tensor differences(const at::Tensor& x, Loss loss) {
  const double step = 1e-6;
  at::Tensor slope = at::zeros_like(x);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    at::Tensor up = x.detach().clone(), down = x.detach().clone();
    up.view({-1})[i] += step;
    down.view({-1})[i] -= step;
    slope.view({-1})[i] = (number(loss(up)) - number(loss(down))) / (2 * step);
  }
  return slope;
}

}  // namespace

TEST_CASE("scores of answers: the binary cross entropies of a row are summed") {
  at::manual_seed(3);
  const at::Tensor logits = at::randn({3, 4}, at::kDouble).set_requires_grad(true);
  const at::Tensor scores = at::rand({3, 4}, at::kDouble);
  double expected = 0;
  for (std::int64_t i = 0; i < 12; ++i) {
    const double x = number(logits.view({-1})[i]), s = number(scores.view({-1})[i]);
    const double p = 1 / (1 + std::exp(-x));
    expected -= s * std::log(p) + (1 - s) * std::log(1 - p);
  }
  const LossTerm term = answer_scores(logits, scores);
  CHECK(number(term.sum) == Approx(expected).epsilon(1e-12));
  CHECK(term.count == 3);
  const at::Tensor slope = torch::autograd::grad({term.sum}, {logits})[0];
  CHECK(at::allclose(
      slope, differences(logits, [&](const at::Tensor& x) { return answer_scores(x, scores).sum; }),
      1e-6, 1e-6));
}

TEST_CASE("scores of answers: parts of a batch add up to it") {
  at::manual_seed(4);
  const at::Tensor logits = at::randn({4, 5}), scores = at::rand({4, 5});
  const LossTerm whole = answer_scores(logits, scores);
  double sum = 0, count = 0;
  for (std::int64_t first = 0; first < 4; first += 2) {
    const LossTerm part = answer_scores(logits.narrow(0, first, 2), scores.narrow(0, first, 2));
    sum += number(part.sum);
    count += part.count;
  }
  CHECK(sum / count == Approx(number(whole.sum) / whole.count).epsilon(1e-6));
}

TEST_CASE("soft cross entropy: with the answer of other logits, which get no gradient") {
  at::manual_seed(5);
  const at::Tensor logits = at::randn({3, 4}, at::kDouble).set_requires_grad(true);
  const at::Tensor given = at::randn({3, 4}, at::kDouble).set_requires_grad(true);
  const LossTerm term = soft_cross_entropy(logits, given);
  CHECK(term.count == 3);
  const at::Tensor target = given.detach().softmax(1);
  const at::Tensor expected = -(logits.log_softmax(1) * target).sum();
  CHECK(number(term.sum) == Approx(number(expected)).epsilon(1e-12));
  const auto slopes = torch::autograd::grad({term.sum}, {logits, given}, {}, false, false,
                                            /*allow_unused=*/true);
  CHECK(at::allclose(slopes[0], logits.detach().softmax(1) - target));
  CHECK_FALSE(slopes[1].defined());
  // With sure answers it is the plain cross entropy.
  const at::Tensor sure = at::zeros({3, 4}, at::kDouble);
  for (std::int64_t i = 0; i < 3; ++i) sure[i][i] = 1e3;
  double plain = 0;
  for (std::int64_t i = 0; i < 3; ++i) plain -= number(logits.log_softmax(1)[i][i]);
  CHECK(number(soft_cross_entropy(logits, sure).sum) == Approx(plain).epsilon(1e-12));
}

TEST_CASE("classification: shapes that disagree are refused by name") {
  try {
    answer_scores(at::zeros({2, 3}), at::zeros({2, 4}));
    FAIL("expected an Error; nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.message().find("[2, 3] and [2, 4]") != std::string::npos);
  }
}

}  // namespace classification_test
