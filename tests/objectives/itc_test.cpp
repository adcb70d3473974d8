#include "tandem/objectives/itc.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <sys/resource.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <optional>
#include <string>

#include "tandem/base/error.h"
#include "tandem/tensor/autocast.h"

namespace itc_test {

using namespace tandem;
using namespace tandem::objectives;

namespace {

struct Pairs {
  at::Tensor image, text, log_scale;

  std::vector<at::Tensor> gradients() const {
    return {image.grad(), text.grad(), log_scale.grad()};
  }
};

Pairs make_pairs(std::int64_t rows, std::int64_t width, at::ScalarType type) {
  at::manual_seed(7);
  const auto unit = [&] {
    const at::Tensor x = at::randn({rows, width}, type);
    return (x / x.norm(2, -1, true)).set_requires_grad(true);
  };
  return {unit(), unit(), at::full({}, 1.3, type).set_requires_grad(true)};
}

Pairs copy_of(const Pairs& p) {
  const auto leaf = [](const at::Tensor& t) { return t.detach().clone().set_requires_grad(true); };
  return {leaf(p.image), leaf(p.text), leaf(p.log_scale)};
}

// Figure 3 of the paper, written down.
at::Tensor plain(const Pairs& p) {
  const at::Tensor logits = at::matmul(p.image, p.text.t()) * p.log_scale.exp();
  const at::Tensor labels = at::arange(logits.size(0), at::kLong);
  const auto loss = [&](const at::Tensor& l) {
    return at::cross_entropy_loss(l, labels, {}, at::Reduction::Sum);
  };
  return (loss(logits) + loss(logits.t())) / 2;
}

void check_near(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b, double margin) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(i);
    CHECK((a[i] - b[i]).abs().max().item<double>() <=
          margin * (1 + b[i].abs().max().item<double>()));
  }
}

}  // namespace

TEST_CASE("itc equals the paper's formula, gradients included, for every chunk") {
  const Pairs reference = make_pairs(13, 6, at::kDouble);
  const at::Tensor expected = plain(reference);
  (expected * 0.7).backward();
  for (const std::int64_t chunk : {0, 1, 4, 5, 13, 100}) {
    CAPTURE(chunk);
    const Pairs p = copy_of(reference);
    const LossTerm term = itc(p.image, p.text, p.log_scale, dist::Mesh(), {.chunk = chunk});
    CHECK(term.count == 13);
    CHECK(term.sum.item<double>() == Approx(expected.item<double>()).epsilon(1e-12));
    (term.sum * 0.7).backward();
    check_near(p.gradients(), reference.gradients(), 1e-12);
  }
}

TEST_CASE("itc's gradients equal finite differences") {
  const Pairs p = make_pairs(5, 3, at::kDouble);
  itc(p.image, p.text, p.log_scale, dist::Mesh()).sum.backward();
  const at::NoGradGuard no_grad;
  const double step = 1e-6;
  for (const at::Tensor& t : {p.image, p.text, p.log_scale}) {
    const at::Tensor flat = t.view({-1}), grad = t.grad().view({-1});
    for (std::int64_t i = 0; i < flat.size(0); ++i) {
      const auto at_offset = [&](double offset) {
        flat[i].add_(offset);
        const double value = itc(p.image, p.text, p.log_scale, dist::Mesh()).sum.item<double>();
        flat[i].sub_(offset);
        return value;
      };
      const double slope = (at_offset(step) - at_offset(-step)) / (2 * step);
      CHECK(grad[i].item<double>() == Approx(slope).margin(1e-7));
    }
  }
}

TEST_CASE("itc is symmetric in image and text") {
  const Pairs p = make_pairs(9, 4, at::kDouble);
  const auto value = [&](const at::Tensor& a, const at::Tensor& b) {
    return itc(a, b, p.log_scale, dist::Mesh()).sum.item<double>();
  };
  CHECK(value(p.image, p.text) == Approx(value(p.text, p.image)).epsilon(1e-13));
}

TEST_CASE("two passes over micro-batches equal one pass over the batch") {
  const Pairs whole = make_pairs(12, 5, at::kDouble);
  itc(whole.image, whole.text, whole.log_scale, dist::Mesh()).sum.backward();
  for (const std::int64_t micro : {12, 6, 3, 1}) {
    CAPTURE(micro);
    const Pairs p = copy_of(whole);
    const ItcSolution solution = solve_itc(p.image, p.text, p.log_scale, dist::Mesh());
    double sum = 0, count = 0;
    for (std::int64_t first = 0; first < 12; first += micro) {
      const LossTerm term =
          replay_itc(p.image.narrow(0, first, micro), p.text.narrow(0, first, micro), p.log_scale,
                     solution, first);
      term.sum.backward();
      sum += term.sum.item<double>();
      count += term.count;
    }
    CHECK(count == 12);
    CHECK(sum == Approx(plain(whole).item<double>()).epsilon(1e-12));
    check_near(p.gradients(), whole.gradients(), 1e-12);
  }
}

TEST_CASE("several paths side by side give the mean of their losses, in one pass and in two") {
  const Pairs first = make_pairs(6, 4, at::kDouble);
  Pairs second = copy_of(first);
  second.image = second.text.detach().roll(1, 0).set_requires_grad(true);
  second.log_scale = at::full({}, 0.4, at::kDouble).set_requires_grad(true);
  const at::Tensor expected = (plain(first) + plain(second)) / 2;
  expected.backward();
  const auto joined = [&](bool leaf) {
    Pairs p{at::cat({first.image, second.image}, 1).detach(),
            at::cat({first.text, second.text}, 1).detach(),
            at::stack({first.log_scale, second.log_scale}).detach()};
    for (at::Tensor* t : {&p.image, &p.text, &p.log_scale}) t->set_requires_grad(leaf);
    return p;
  };
  const std::vector<at::Tensor> gradients{
      at::cat({first.image.grad(), second.image.grad()}, 1),
      at::cat({first.text.grad(), second.text.grad()}, 1),
      at::stack({first.log_scale.grad(), second.log_scale.grad()})};

  const Pairs whole = joined(true);
  const LossTerm term = itc(whole.image, whole.text, whole.log_scale, dist::Mesh());
  term.sum.backward();
  CHECK(term.count == 6);
  CHECK(term.sum.item<double>() == Approx(expected.item<double>()).epsilon(1e-12));
  check_near(whole.gradients(), gradients, 1e-12);

  const Pairs parts = joined(true);
  const ItcSolution solution = solve_itc(parts.image, parts.text, parts.log_scale, dist::Mesh());
  for (std::int64_t row = 0; row < 6; row += 2) {
    replay_itc(parts.image.narrow(0, row, 2), parts.text.narrow(0, row, 2), parts.log_scale,
               solution, row)
        .sum.backward();
  }
  check_near(parts.gradients(), gradients, 1e-12);
}

TEST_CASE("itc is computed in fp32 within autocast") {
  const Pairs p = make_pairs(16, 8, at::kFloat), q = copy_of(p);
  auto autocast = std::make_optional<Autocast>(at::kCPU, AutocastSetting{true, at::kBFloat16});
  const LossTerm inside = itc(p.image, p.text, p.log_scale, dist::Mesh());
  CHECK(autocast_setting(at::kCPU).on);
  autocast.reset();
  CHECK_FALSE(autocast_setting(at::kCPU).on);
  const LossTerm outside = itc(q.image, q.text, q.log_scale, dist::Mesh());
  CHECK(inside.sum.scalar_type() == at::kFloat);
  CHECK(inside.sum.equal(outside.sum));
  // Features of half precision get gradients of their own type.
  at::Tensor half = p.image.detach().to(at::kBFloat16).set_requires_grad(true);
  itc(half, p.text, p.log_scale, dist::Mesh()).sum.backward();
  CHECK(half.grad().scalar_type() == at::kBFloat16);
}

TEST_CASE("without gradients itc gives the value alone") {
  const Pairs p = make_pairs(6, 4, at::kDouble);
  const at::NoGradGuard no_grad;
  const LossTerm term = itc(p.image, p.text, p.log_scale, dist::Mesh(), {.chunk = 4});
  CHECK_FALSE(term.sum.requires_grad());
  CHECK(term.sum.item<double>() == Approx(plain(p).item<double>()).epsilon(1e-12));
}

TEST_CASE("large logits stay finite") {
  Pairs p = make_pairs(8, 4, at::kFloat);
  p.log_scale = at::full({}, std::log(100.0), at::kFloat).set_requires_grad(true);
  const LossTerm term = itc(p.image, p.text, p.log_scale, dist::Mesh(), {.chunk = 3});
  term.sum.backward();
  CHECK(std::isfinite(term.sum.item<double>()));
  for (const at::Tensor& grad : p.gradients()) CHECK(grad.isfinite().all().item<bool>());
}

TEST_CASE("a batch of 8192 pairs in chunks never holds the whole matrix") {
  const Pairs p = make_pairs(8192, 16, at::kFloat);
  const auto peak_mib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
  };
  const long before = peak_mib();
  itc(p.image, p.text, p.log_scale, dist::Mesh(), {.chunk = 128}).sum.backward();
  CHECK(peak_mib() - before < 100);  // the matrix alone is 256 MiB
}

TEST_CASE("itc names the shapes that do not fit") {
  const Pairs a = make_pairs(8, 4, at::kFloat), b = make_pairs(7, 4, at::kFloat);
  try {
    itc(a.image, b.text, a.log_scale, dist::Mesh());
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.message() ==
          "[itc] expected image and text [B, D] with equal B; got [8, 4] and [7, 4]");
  }
  const ItcSolution solution = solve_itc(a.image, a.text, a.log_scale, dist::Mesh());
  CHECK_THROWS(replay_itc(b.image, b.text, a.log_scale, solution, 2));
}

}  // namespace itc_test
