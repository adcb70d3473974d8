#include "tandem/objectives/momentum_itc.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <functional>

#include "tandem/base/error.h"
#include "tandem/tensor/autocast.h"

namespace momentum_itc_test {

using namespace tandem;
using objectives::momentum_itc;
using objectives::MomentumItcInput;

namespace {

at::Tensor unit(const at::Tensor& x, std::int64_t dim) {
  return x / at::linalg_vector_norm(x, 2, {dim}, /*keepdim=*/true);
}

// Four pairs, a queue of six, five numbers; fp64, so that differences can be finite.
MomentumItcInput input(double alpha) {
  at::manual_seed(5);
  const auto rows = [] { return unit(at::randn({4, 5}, at::kDouble), 1); };
  const auto queue = [] { return unit(at::randn({5, 6}, at::kDouble), 0); };
  MomentumItcInput in{.image = rows(),
                      .text = rows(),
                      .image_copy = rows(),
                      .text_copy = rows(),
                      .image_queue = queue(),
                      .text_queue = queue(),
                      .temperature = at::full({}, 0.3, at::kDouble),
                      .alpha = alpha,
                      .same = {}};
  return in;
}

// Row by row, as the paper's equations 5 and 6 say it.
double by_hand(const MomentumItcInput& in) {
  const auto side = [&](const at::Tensor& rows, const at::Tensor& copy, const at::Tensor& columns) {
    double sum = 0;
    for (std::int64_t i = 0; i < rows.size(0); ++i) {
      const at::Tensor p = at::log_softmax(at::matmul(columns.t(), rows[i]) / in.temperature, 0);
      at::Tensor y = at::softmax(at::matmul(columns.t(), copy[i]) / in.temperature, 0) * in.alpha;
      y[i] += 1 - in.alpha;
      sum -= (p * y).sum().item<double>();
    }
    return sum;
  };
  return (side(in.image, in.image_copy, at::cat({in.text_copy.t(), in.text_queue}, 1)) +
          side(in.text, in.text_copy, at::cat({in.image_copy.t(), in.image_queue}, 1))) /
         2;
}

}  // namespace

TEST_CASE("the contrast with momentum is the paper's sum, with and without soft targets") {
  for (const double alpha : {0.0, 0.4, 1.0}) {
    const MomentumItcInput in = input(alpha);
    const auto out = momentum_itc(in);
    CAPTURE(alpha);
    CHECK(out.loss.sum.item<double>() == Approx(by_hand(in)).epsilon(1e-12));
    CHECK(out.loss.count == 4);
    CHECK(out.image_to_text.sizes() == at::IntArrayRef({4, 10}));
    CHECK(at::allclose(out.text_to_image.narrow(1, 0, 4),
                       at::matmul(in.text, in.image_copy.t()) / 0.3));
  }
}

TEST_CASE("its gradients are those of finite differences; copies, queues and targets get none") {
  MomentumItcInput in = input(0.4);
  for (at::Tensor* t : {&in.image, &in.text, &in.temperature, &in.image_copy, &in.text_queue}) {
    t->set_requires_grad(true);
  }
  momentum_itc(in).loss.sum.backward();
  CHECK_FALSE(in.image_copy.grad().defined());
  CHECK_FALSE(in.text_queue.grad().defined());
  const double step = 1e-6;
  const auto slope = [&](const at::Tensor& entry) {
    const at::NoGradGuard no_grad;
    at::Tensor x = entry;
    x += step;
    const double above = momentum_itc(in).loss.sum.item<double>();
    x -= 2 * step;
    const double below = momentum_itc(in).loss.sum.item<double>();
    x += step;
    return (above - below) / (2 * step);
  };
  for (std::int64_t i = 0; i < 4; ++i) {
    const at::NoGradGuard no_grad;
    CHECK(in.image.grad()[i][i].item<double>() == Approx(slope(in.image[i][i])).margin(1e-7));
    CHECK(in.text.grad()[i][4].item<double>() == Approx(slope(in.text[i][4])).margin(1e-7));
  }
  // The targets depend on the temperature too, and are constants all the same.
  const at::NoGradGuard no_grad;
  in.alpha = 0;
  at::Tensor temperature = in.temperature;
  temperature.mutable_grad() = at::Tensor();
  {
    const at::AutoGradMode grad(true);
    momentum_itc(in).loss.sum.backward();
  }
  CHECK(in.temperature.grad().item<double>() == Approx(slope(in.temperature)).epsilon(1e-6));
}

TEST_CASE("rows and columns that show one picture share the hard target") {
  MomentumItcInput in = input(0);
  const double alone = momentum_itc(in).loss.sum.item<double>();
  in.same = at::zeros({4, 10}, at::kDouble);
  in.same.narrow(1, 0, 4).fill_diagonal_(1);
  CHECK(momentum_itc(in).loss.sum.item<double>() == Approx(alone));
  in.same[0][7] = 1;  // an entry of the queue
  const auto out = momentum_itc(in);
  const at::Tensor a = at::log_softmax(out.image_to_text, 1)[0];
  const at::Tensor b = at::log_softmax(out.text_to_image, 1)[0];
  const double change = (a[0] - (a[0] + a[7]) / 2 + b[0] - (b[0] + b[7]) / 2).item<double>() / 2;
  CHECK(out.loss.sum.item<double>() == Approx(alone + change));
}

TEST_CASE("within autocast the contrast stays in single precision") {
  MomentumItcInput in = input(0.4);
  for (at::Tensor* t : {&in.image, &in.text, &in.image_copy, &in.text_copy, &in.image_queue,
                        &in.text_queue, &in.temperature}) {
    *t = t->to(at::kFloat);
  }
  const auto plain = momentum_itc(in);
  const Autocast autocast(at::kCPU, {true, at::kBFloat16});
  const auto cast = momentum_itc(in);
  CHECK(autocast_setting(at::kCPU).on);
  CHECK(at::equal(plain.loss.sum, cast.loss.sum));
  CHECK(cast.image_to_text.scalar_type() == at::kFloat);
}

TEST_CASE("shapes that do not fit are refused by the contrast with momentum") {
  const std::vector<std::function<void(MomentumItcInput&)>> edits{
      [](MomentumItcInput& in) { in.text = in.text.narrow(0, 0, 3); },
      [](MomentumItcInput& in) { in.image_copy = in.image_copy.narrow(1, 0, 4); },
      [](MomentumItcInput& in) { in.text_queue = in.text_queue.narrow(1, 0, 5); },
      [](MomentumItcInput& in) {
        in.image_queue = in.image_queue.t();
        in.text_queue = in.text_queue.t();
      }};
  for (std::size_t i = 0; i < edits.size(); ++i) {
    CAPTURE(i);
    MomentumItcInput in = input(0.4);
    edits[i](in);
    CHECK_THROWS_AS(momentum_itc(in), Error);
  }
}

}  // namespace momentum_itc_test
