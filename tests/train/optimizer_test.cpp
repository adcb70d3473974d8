#include "tandem/train/optimizer.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/optim/adamw.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <tuple>

#include "tandem/base/error.h"

namespace optimizer_test {

using namespace tandem;
using namespace tandem::train;

namespace {

struct Fixture {
  NamedTensors parameters{{"w", at::full({2, 2}, 1.0).set_requires_grad(true)},
                          {"b", at::full({2}, 1.0).set_requires_grad(true)}};
  config::OptimizerConfig config{.lr = 0.1, .betas = {0.9, 0.98}, .eps = 1e-6, .weight_decay = 0.2};
  std::vector<ResolvedParameter> resolved{
      {.name = "w", .elements = 4, .rule = 0, .trained = true, .weight_decay = 0.2},
      {.name = "b", .elements = 2, .rule = 0, .trained = true}};

  void set_grads(double w, double b) {
    parameters[0].second.mutable_grad() = at::full({2, 2}, w);
    parameters[1].second.mutable_grad() = at::full({2}, b);
  }
};

const at::Tensor fine = at::zeros({});

double first(const at::Tensor& tensor) { return tensor.detach().flatten()[0].item<double>(); }

// The paper's algorithm 2, one number.
struct Scalar {
  double value = 1, m = 0, v = 0;
  int t = 0;
  void step(double g, double lr, double decay) {
    ++t;
    value -= lr * decay * value;
    m = 0.9 * m + 0.1 * g;
    v = 0.98 * v + 0.02 * g * g;
    value -= lr * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.98, t))) + 1e-6);
  }
};

}  // namespace

TEST_CASE("updates follow the paper's decoupled weight decay") {
  Fixture f;
  Optimizer optimizer(f.config, f.resolved, f.parameters);
  Scalar w, b;
  for (const double g : {0.5, -1.0, 2.0}) {
    f.set_grads(g, 2 * g);
    optimizer.step(0.1, fine);
    w.step(g, 0.1, 0.2);
    b.step(2 * g, 0.1, 0.0);
    CHECK(first(f.parameters[0].second) == Approx(w.value).epsilon(1e-5));
    CHECK(first(f.parameters[1].second) == Approx(b.value).epsilon(1e-5));
  }
}

TEST_CASE("scales of the learning rate are those of torch's groups, weight decay with them") {
  Fixture f;
  f.resolved[0].lr_scale = 0.25;
  f.resolved[1].lr_scale = 0.5;
  Optimizer optimizer(f.config, f.resolved, f.parameters);
  std::vector<at::Tensor> theirs;
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (std::size_t i = 0; i < 2; ++i) {
    theirs.push_back(f.parameters[i].second.detach().clone().set_requires_grad(true));
    auto options = std::make_unique<torch::optim::AdamWOptions>(1.0);
    options->betas(std::make_tuple(0.9, 0.98)).eps(1e-6).weight_decay(f.resolved[i].weight_decay);
    groups.emplace_back(std::vector<at::Tensor>{theirs[i]}, std::move(options));
  }
  torch::optim::AdamW reference(groups);
  const double learning_rates[] = {0.1, 0.08, 0.02}, gradients[] = {0.5, -1.0, 2.0};
  for (int step = 0; step < 3; ++step) {
    f.set_grads(gradients[step], 2 * gradients[step]);
    optimizer.step(learning_rates[step], fine);
    for (std::size_t i = 0; i < 2; ++i) {
      theirs[i].mutable_grad() = f.parameters[i].second.grad().clone();
      reference.param_groups()[i].options().set_lr(learning_rates[step] * f.resolved[i].lr_scale);
    }
    reference.step();
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(first(f.parameters[i].second) == Approx(first(theirs[i])).epsilon(1e-5));
    }
    // Adam's first step is as long as its learning rate: by hand.
    if (step == 0) {
      CHECK(first(f.parameters[0].second) == Approx(1 - 0.025 * 0.2 - 0.025).epsilon(1e-5));
      CHECK(first(f.parameters[1].second) == Approx(1 - 0.05).epsilon(1e-5));
    }
  }
}

TEST_CASE("clipping scales all gradients by the norm of the whole") {
  Fixture f;
  f.config.clip = 1.0;
  Optimizer optimizer(f.config, f.resolved, f.parameters);
  f.set_grads(3.0, 4.0);  // norm: sqrt(4 * 9 + 2 * 16)
  const auto norm = optimizer.step(0.1, fine);
  CHECK(norm.norm.item<double>() == Approx(std::sqrt(68.0)));
  const NamedTensors state = optimizer.state();
  CHECK(first(state[0].second) == Approx(0.1 * 3 / std::sqrt(68.0)).epsilon(1e-5));
}

TEST_CASE("a gradient or a loss that is not finite changes nothing") {
  Fixture f;
  Optimizer optimizer(f.config, f.resolved, f.parameters);
  f.set_grads(1, 1);
  optimizer.step(0.1, fine);
  const double w = first(f.parameters[0].second);
  const auto before = optimizer.state();
  f.set_grads(std::numeric_limits<double>::quiet_NaN(), 1);
  CHECK(optimizer.step(0.1, fine).broken.item<double>() == 1);
  f.set_grads(1, 1);
  CHECK(optimizer.step(0.1, at::full({}, INFINITY)).broken.item<double>() == 1);
  CHECK(first(f.parameters[0].second) == w);
  const auto after = optimizer.state();
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(before[i].second.equal(after[i].second));
  f.set_grads(1, 1);
  CHECK(optimizer.step(0.1, fine).broken.item<double>() == 0);
  CHECK(first(f.parameters[0].second) != w);
}

TEST_CASE("a frozen parameter has no state and a missing gradient counts as zeros") {
  Fixture f;
  f.resolved[1].trained = false;
  Optimizer optimizer(f.config, f.resolved, f.parameters);
  optimizer.step(0.1, fine);
  CHECK(first(f.parameters[1].second) == 1);
  CHECK(first(f.parameters[0].second) == Approx(1 - 0.1 * 0.2));  // decay alone
  CHECK(optimizer.state().size() == 3);
}

TEST_CASE("saved state goes on as if nothing had happened") {
  Fixture a, b;
  Optimizer first_half(a.config, a.resolved, a.parameters);
  a.set_grads(1, 2);
  first_half.step(0.1, fine);
  const NamedTensors state = first_half.state();
  for (std::size_t i = 0; i < 2; ++i) {
    b.parameters[i].second = a.parameters[i].second.detach().clone().set_requires_grad(true);
  }
  Optimizer second(b.config, b.resolved, b.parameters);
  second.load(state);
  a.set_grads(-1, 3);
  b.set_grads(-1, 3);
  first_half.step(0.05, fine);
  second.step(0.05, fine);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(a.parameters[i].second.equal(b.parameters[i].second));
  }
}

TEST_CASE("state that does not fit is refused by name") {
  Fixture f;
  Optimizer optimizer(f.config, f.resolved, f.parameters);
  NamedTensors state = optimizer.state();
  state.pop_back();
  CHECK_THROWS_WITH(optimizer.load(state), Catch::Contains("step"));
  state = optimizer.state();
  state[0].second = at::zeros({3});
  CHECK_THROWS_WITH(optimizer.load(state), Catch::Contains("exp_avg.w"));
  state = optimizer.state();
  state.emplace_back("exp_avg.other", at::zeros({1}));
  CHECK_THROWS_WITH(optimizer.load(state), Catch::Contains("exp_avg.other"));
}

TEST_CASE("nothing to train is an error") {
  Fixture f;
  f.resolved[0].trained = f.resolved[1].trained = false;
  CHECK_THROWS_AS(Optimizer(f.config, f.resolved, f.parameters), Error);
}

}  // namespace optimizer_test
