#include "tandem/objectives/lm.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>

#include "tandem/base/error.h"
#include "tandem/objectives/token_loss.h"

namespace lm_test {

using namespace tandem;
using namespace tandem::objectives;

namespace {

struct Case {
  at::Tensor hidden, weight, labels;
};

Case make_case(std::int64_t words = 37) {
  at::manual_seed(3);
  Case c{at::randn({2, 11, 8}), at::randn({words, 8}), at::randint(words, {2, 11}, at::kLong)};
  for (std::int64_t t = 0; t < 11; t += 3) c.labels.select(1, t).fill_(ignored);
  c.hidden.set_requires_grad(true);
  c.weight.set_requires_grad(true);
  return c;
}

struct Result {
  at::Tensor sum, hidden, weight;
};

Result result_of(const Case& c, const LossTerm& term, double share = 1) {
  torch::autograd::backward({term.sum * share}, {});
  Result result{term.sum.detach(), c.hidden.grad(), c.weight.grad()};
  c.hidden.mutable_grad() = at::Tensor();
  c.weight.mutable_grad() = at::Tensor();
  return result;
}

bool near(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-5, 1e-6); }

}  // namespace

TEST_CASE("the LM loss in pieces is the whole one, and so are its gradients") {
  const Case c = make_case();
  const double count = count_labels(c.labels);
  for (const double smoothing : {0.0, 0.1, 1.0}) {
    const Result whole =
        result_of(c, lm_loss_plain(c.hidden, c.weight, c.labels, count, {smoothing, 0}), 0.3);
    for (const std::int64_t chunk : {1, 4, 5, 64, 0}) {
      for (const double known : {count, -1.0}) {
        CAPTURE(smoothing, chunk, known);
        const LossTerm term = lm_loss(c.hidden, c.weight, c.labels, known, {smoothing, chunk});
        const Result pieces = result_of(c, term, 0.3);
        CHECK(near(pieces.sum, whole.sum));
        CHECK(near(pieces.hidden, whole.hidden));
        CHECK(near(pieces.weight, whole.weight));
      }
    }
  }
}

TEST_CASE("the LM loss of more words than a product takes at once is the whole one") {
  const Case c = make_case(40'000);
  const double count = count_labels(c.labels);
  const Result whole = result_of(c, lm_loss_plain(c.hidden, c.weight, c.labels, count));
  const Result pieces = result_of(c, lm_loss(c.hidden, c.weight, c.labels, count));
  CHECK(near(pieces.sum, whole.sum));
  // Sums of 40,000 words: in fp32 the whole one is itself 4e-5 of the largest from fp64's.
  const auto off = [](const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).abs().max() / b.abs().max()).item<double>();
  };
  CHECK(off(pieces.hidden, whole.hidden) < 2e-4);
  CHECK(off(pieces.weight, whole.weight) < 2e-4);
}

TEST_CASE("the LM loss computes the gradients that are wanted and no others") {
  Case c = make_case();
  const double count = count_labels(c.labels);
  const Result both = result_of(c, lm_loss(c.hidden, c.weight, c.labels, count));
  const at::Tensor frozen = c.weight.detach();
  const LossTerm head = lm_loss(c.hidden, frozen, c.labels, count);
  torch::autograd::backward({head.sum}, {});
  CHECK(at::equal(c.hidden.grad(), both.hidden));
  const LossTerm tower = lm_loss(c.hidden.detach(), c.weight, c.labels, count);
  torch::autograd::backward({tower.sum}, {});
  CHECK(at::equal(c.weight.grad(), both.weight));
  CHECK_FALSE(lm_loss(c.hidden.detach(), frozen, c.labels, count).sum.requires_grad());
  const at::NoGradGuard no_grad;
  CHECK(at::equal(lm_loss(c.hidden, c.weight, c.labels, count).sum, both.sum));
}

TEST_CASE("the LM loss of no label is 0, and a wrong count is an error") {
  const Case c = make_case();
  const at::Tensor none = at::full({2, 11}, ignored, at::kLong);
  const Result empty = result_of(c, lm_loss(c.hidden, c.weight, none, 0));
  CHECK(empty.sum.item<double>() == 0);
  CHECK(empty.hidden.abs().max().item<double>() == 0);
  CHECK_THROWS_AS(lm_loss(c.hidden, c.weight, c.labels, 3), Error);
}

TEST_CASE("losses of single tokens have the gradients of their own weights") {
  const Case c = make_case();
  const double count = count_labels(c.labels);
  const at::Tensor shares = at::randn({2, 11});
  const LossTerm plain = lm_loss_plain(c.hidden, c.weight, c.labels, count);
  const Result sum = result_of(c, plain);
  for (const double known : {count, -1.0}) {
    const at::Tensor losses = token_losses(c.hidden, c.weight, c.labels, known, {0, 3});
    CHECK(near(losses.sum(), sum.sum));
    CHECK(losses[0][0].item<double>() == 0);
    const Result mine = result_of(c, {(losses * shares).sum(), count});
    at::Tensor total;
    for (std::int64_t b = 0; b < 2; ++b) {
      for (std::int64_t t = 0; t < 11; ++t) {
        if (c.labels[b][t].item<std::int64_t>() == ignored) continue;
        const at::Tensor one =
            lm_loss_plain(c.hidden[b][t].unsqueeze(0), c.weight, c.labels[b][t].unsqueeze(0), 1)
                .sum;
        total = total.defined() ? total + one * shares[b][t] : one * shares[b][t];
      }
    }
    const Result one_by_one = result_of(c, {total, count});
    CHECK(near(mine.hidden, one_by_one.hidden));
    CHECK(near(mine.weight, one_by_one.weight));
  }
}

TEST_CASE("labels are moved by one token") {
  const at::Tensor labels = at::tensor({7, 8, -100, 9}, at::kLong).view({1, 4});
  CHECK(at::equal(shifted_labels(labels), at::tensor({8, -100, 9, -100}, at::kLong).view({1, 4})));
}

}  // namespace lm_test
