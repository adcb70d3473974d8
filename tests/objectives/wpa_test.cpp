#include "tandem/objectives/wpa.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <utility>

#include "tandem/tensor/autocast.h"

namespace wpa_test {

using namespace tandem;
using namespace tandem::objectives;

namespace {

struct Pairs {
  at::Tensor text, text_mask, picture, picture_mask;
};

// Two pairs: 3 words and 4 patches, 2 words and 3 patches; the rest is padding.
Pairs make_pairs() {
  at::manual_seed(5);
  Pairs p{at::randn({2, 3, 6}, at::kDouble), at::ones({2, 3}, at::kBool),
          at::randn({2, 4, 6}, at::kDouble), at::ones({2, 4}, at::kBool)};
  p.text_mask[1][2] = false;
  p.picture_mask[1][0] = false;
  return p;
}

at::Tensor distance(const Pairs& p) {
  return transport_distance(p.text, p.text_mask, p.picture, p.picture_mask);
}

// The method of the paper with loops, for one pair without padding. cost [M][N]
std::vector<std::vector<double>> plan_by_loops(const std::vector<std::vector<double>>& cost) {
  const std::size_t m = cost.size(), n = cost[0].size();
  std::vector<std::vector<double>> plan(m, std::vector<double>(n, 1));
  std::vector<double> word(m, 1.0 / static_cast<double>(m));
  for (int step = 0; step < 50; ++step) {
    std::vector<double> patch(n, 0);
    auto q = plan;
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) q[i][j] = std::exp(-cost[i][j] / 0.5) * plan[i][j];
    }
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t i = 0; i < m; ++i) patch[j] += word[i] * q[i][j];
      patch[j] = 1 / (static_cast<double>(n) * patch[j]);
    }
    for (std::size_t i = 0; i < m; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) sum += q[i][j] * patch[j];
      word[i] = 1 / (static_cast<double>(m) * sum);
      for (std::size_t j = 0; j < n; ++j) plan[i][j] = word[i] * q[i][j] * patch[j];
    }
  }
  return plan;
}

}  // namespace

TEST_CASE("the transport plan is that of the method written with loops") {
  const Pairs p = make_pairs();
  const at::Tensor cost = transport_cost(p.text, p.text_mask, p.picture, p.picture_mask);
  const at::Tensor plan = transport_plan(cost, p.text_mask, p.picture_mask);
  for (std::int64_t pair = 0; pair < 2; ++pair) {
    const std::int64_t words = pair == 0 ? 3 : 2, first = pair == 0 ? 0 : 1;
    std::vector<std::vector<double>> dense;
    for (std::int64_t i = 0; i < words; ++i) {
      dense.emplace_back();
      for (std::int64_t j = first; j < 4; ++j) {
        dense.back().push_back(cost[pair][i][j].item<double>());
      }
    }
    const auto expected = plan_by_loops(dense);
    double sum = 0;
    for (std::size_t i = 0; i < dense.size(); ++i) {
      for (std::size_t j = 0; j < dense[0].size(); ++j) {
        const double value =
            plan[pair][static_cast<std::int64_t>(i)][first + static_cast<std::int64_t>(j)]
                .item<double>();
        CHECK(value == Approx(expected[i][j]).epsilon(1e-10));
        sum += value;
      }
    }
    CHECK(sum == Approx(1).epsilon(1e-9));
  }
  CHECK(plan[1].select(0, 2).abs().max().item<double>() == 0);  // a word that takes no part
  CHECK(plan[1].select(1, 0).abs().max().item<double>() == 0);
}

TEST_CASE("the distance's gradient goes through the cost alone") {
  Pairs p = make_pairs();
  p.text.set_requires_grad(true);
  distance(p).sum().backward();
  const at::Tensor plan = transport_plan(
      transport_cost(p.text, p.text_mask, p.picture, p.picture_mask), p.text_mask, p.picture_mask);
  const auto fixed_plan = [&](const at::Tensor& text) {
    return (transport_cost(text, p.text_mask, p.picture, p.picture_mask) * plan)
        .sum()
        .item<double>();
  };
  const double h = 1e-6;
  for (const auto& [b, i, d] : {std::array{0, 0, 0}, {0, 2, 5}, {1, 1, 3}, {1, 2, 3}}) {
    at::Tensor up = p.text.detach().clone(), down = up.clone();
    up[b][i][d] += h;
    down[b][i][d] -= h;
    const double expected = (fixed_plan(up) - fixed_plan(down)) / (2 * h);
    CHECK(p.text.grad()[b][i][d].item<double>() == Approx(expected).margin(1e-8));
  }
  CHECK(p.text.grad()[1][2].abs().max().item<double>() == 0);
}

TEST_CASE("the order of words and patches, and what stands in padding, change no distance") {
  const Pairs p = make_pairs();
  Pairs other = p;
  const at::Tensor words = at::tensor({2, 0, 1}, at::kLong),
                   patches = at::tensor({3, 1, 0, 2}, at::kLong);
  other.text = p.text.index_select(1, words);
  other.text_mask = p.text_mask.index_select(1, words);
  other.picture = p.picture.index_select(1, patches);
  other.picture_mask = p.picture_mask.index_select(1, patches);
  CHECK(at::allclose(distance(p), distance(other), 1e-9, 1e-12));
  other = p;
  other.text = p.text.clone();
  other.text[1][2] = 7.0;
  CHECK(at::equal(distance(p), distance(other)));
}

TEST_CASE("a text of marks alone has no distance and no gradient that is not a number") {
  Pairs p = make_pairs();
  p.text_mask[1].fill_(false);
  p.text.set_requires_grad(true);
  const at::Tensor d = distance(p);
  CHECK(d[1].item<double>() == 0);
  d.sum().backward();
  CHECK(p.text.grad().isfinite().all().item<bool>());
}

TEST_CASE("matching pairs add their distance, others take it away") {
  const at::Tensor d = at::tensor({1.0, 2.0, 4.0});
  const LossTerm term = wpa(d, at::tensor({1, 0, 1}, at::kLong));
  CHECK(term.sum.item<double>() == Approx(3));
  CHECK(term.count == 3);
}

TEST_CASE("a text's inner tokens are those between its first and its last") {
  const at::Tensor mask = at::tensor({1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0}, at::kLong).view({3, 4});
  const at::Tensor expected =
      at::tensor({0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, at::kLong).view({3, 4}).to(at::kBool);
  CHECK(at::equal(inner_tokens(mask), expected));
}

TEST_CASE("within autocast the transport stays in single precision, and so does its gradient") {
  const Pairs p = make_pairs();
  const auto run = [&](bool cast) {
    at::Tensor text = p.text.to(at::kFloat).requires_grad_();
    const at::Tensor picture = p.picture.to(at::kFloat);
    const auto distance_of = [&] {
      const Autocast autocast(at::kCPU, {cast, at::kBFloat16});
      const at::Tensor distance = transport_distance(text, p.text_mask, picture, p.picture_mask);
      CHECK(autocast_setting(at::kCPU).on == cast);
      return distance;
    };
    const at::Tensor distance = distance_of();
    torch::autograd::backward({distance.sum()}, {});
    return std::pair{distance.detach(), text.grad()};
  };
  const auto plain = run(false), cast = run(true);
  CHECK(cast.first.scalar_type() == at::kFloat);
  CHECK(at::equal(plain.first, cast.first));
  CHECK(at::equal(plain.second, cast.second));
  // What autocast gives it in bfloat16 is widened before anything is computed.
  const at::Tensor half = transport_cost(p.text.to(at::kBFloat16), p.text_mask,
                                         p.picture.to(at::kBFloat16), p.picture_mask);
  CHECK(half.scalar_type() == at::kFloat);
  CHECK(
      at::equal(half, transport_cost(p.text.to(at::kBFloat16).to(at::kFloat), p.text_mask,
                                     p.picture.to(at::kBFloat16).to(at::kFloat), p.picture_mask)));
}

}  // namespace wpa_test
