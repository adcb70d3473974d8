#include "tandem/objectives/dpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "tandem/base/error.h"
#include "tandem/objectives/token_loss.h"

namespace dpo_test {

using namespace tandem;
using namespace tandem::objectives;

namespace {

at::Tensor values(const std::vector<double>& list) { return at::tensor(list, at::kFloat); }

// The pairs for which the originals' losses below were computed.
struct Pairs {
  at::Tensor chosen = values({-12.5, -30.25, -7}), rejected = values({-15, -28, -7.5});
  at::Tensor reference_chosen = values({-13, -29, -9}), reference_rejected = values({-14, -29, -6});
};

DpoTerm loss_of(const DpoOptions& options) {
  const Pairs p;
  return dpo_loss(p.chosen, p.rejected, p.reference_chosen, p.reference_rejected, options);
}

double each(const DpoOptions& options, std::int64_t pair) {
  const Pairs p;
  const auto one = [&](const at::Tensor& of) { return of.narrow(0, pair, 1); };
  return dpo_loss(one(p.chosen), one(p.rejected), one(p.reference_chosen),
                  one(p.reference_rejected), options)
      .loss.sum.item<double>();
}

}  // namespace

TEST_CASE("the losses of preferences are the originals'") {
  const auto agree = [](const DpoOptions& options, const std::vector<double>& recorded) {
    double sum = 0;
    for (std::size_t i = 0; i < recorded.size(); ++i) {
      CHECK(each(options, static_cast<std::int64_t>(i)) == Approx(recorded[i]).epsilon(1e-5));
      sum += recorded[i];
    }
    const DpoTerm term = loss_of(options);
    CHECK(term.loss.count == 3);
    CHECK(term.loss.sum.item<double>() == Approx(sum).epsilon(1e-5));
  };
  agree({.beta = 0.1}, {0.62095708, 0.81196201, 0.53338212});
  agree({.beta = 0.5}, {0.38687101, 1.4061501, 0.16022415});
  agree({.beta = 0.5, .reference_free = true}, {0.25192907, 1.4061501, 0.57593942});
  agree({.beta = 0.3, .smoothing = 0.2}, {0.58324897, 0.95155084, 0.51005852});
  agree({.kind = DpoKind::ipo, .beta = 0.2}, {1, 22.5625, 1});
  agree({.kind = DpoKind::robust, .beta = 0.3, .smoothing = 0.1},
        {0.4369989, 1.1709257, 0.16880848});
}

TEST_CASE("rewards are beta times how much likelier an answer became") {
  const DpoTerm term = loss_of({.beta = 0.5});
  CHECK(at::allclose(term.chosen_reward, values({0.25, -0.625, 1})));
  CHECK(at::allclose(term.rejected_reward, values({-0.5, 0.5, -0.75})));
  CHECK_FALSE(term.chosen_reward.requires_grad());
}

TEST_CASE("at the reference the loss is ln 2, and its gradient is that of the paper") {
  const at::Tensor chosen = values({-3, -9}).set_requires_grad(true);
  const at::Tensor rejected = values({-4, -8}).set_requires_grad(true);
  const DpoTerm same =
      dpo_loss(chosen, rejected, chosen.detach(), rejected.detach(), {.beta = 0.3});
  CHECK(same.loss.sum.item<double>() == Approx(2 * std::log(2.0)));
  const DpoTerm term =
      dpo_loss(chosen, rejected, values({-5, -9}), values({-4, -9}), {.beta = 0.3});
  torch::autograd::backward({term.loss.sum}, {});
  const auto slope = [](double h) { return -0.3 / (1 + std::exp(0.3 * h)); };
  CHECK(at::allclose(chosen.grad(), values({slope(2), slope(-1)})));
  CHECK(at::allclose(rejected.grad(), values({-slope(2), -slope(-1)})));
}

TEST_CASE("log-probabilities of answers are sums over their own tokens") {
  at::manual_seed(5);
  const at::Tensor hidden = at::randn({3, 7, 8}).set_requires_grad(true);
  const at::Tensor head = at::randn({23, 8}).set_requires_grad(true);
  at::Tensor labels = at::randint(0, 23, {3, 7}, at::kLong);
  labels.narrow(1, 0, 3).fill_(ignored);
  labels.select(0, 1).narrow(0, 5, 2).fill_(ignored);
  const at::Tensor moved = labels.narrow(1, 1, 6), counted = moved.ne(ignored);
  const at::Tensor plain = (at::log_softmax(at::linear(hidden, head), -1)
                                .narrow(1, 0, 6)
                                .gather(2, moved.clamp_min(0).unsqueeze(2))
                                .squeeze(2) *
                            counted)
                               .sum(1);
  const double count = counted.sum().item<double>();
  for (const double known : {count, -1.0}) {
    LmOptions options;
    options.chunk = 4;
    const at::Tensor sums = answer_log_probs(hidden, head, labels, known, options);
    CHECK(at::allclose(sums, plain, 1e-5, 1e-5));
    const auto gradients = [&](const at::Tensor& of) {
      hidden.mutable_grad() = head.mutable_grad() = at::Tensor();
      const DpoTerm term = dpo_loss(of.narrow(0, 0, 1), of.narrow(0, 1, 1), at::zeros({1}),
                                    at::zeros({1}), {.beta = 0.1});
      torch::autograd::backward({term.loss.sum}, {}, /*retain_graph=*/true);
      return std::pair{hidden.grad().clone(), head.grad().clone()};
    };
    const auto ours = gradients(sums), whole = gradients(plain);
    CHECK(at::allclose(ours.first, whole.first, 1e-4, 1e-6));
    CHECK(at::allclose(ours.second, whole.second, 1e-4, 1e-6));
  }
}

TEST_CASE("a reference that prefers neither, and options out of range") {
  const Pairs p;
  const DpoTerm term = dpo_loss(p.chosen, p.rejected, {}, {}, {.reference_free = true});
  CHECK(at::allclose(term.chosen_reward, p.chosen * 0.1));
  CHECK_THROWS_WITH(loss_of({.beta = 0}), Catch::Contains("beta above 0"));
  CHECK_THROWS_WITH(loss_of({.smoothing = 1.5}), Catch::Contains("smoothing of 0 to 1"));
  CHECK_THROWS_WITH(loss_of({.kind = DpoKind::robust, .smoothing = 0.5}),
                    Catch::Contains("below 0.5"));
}

}  // namespace dpo_test
