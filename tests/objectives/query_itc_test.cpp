#include "tandem/objectives/query_itc.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>

#include "tandem/objectives/itc.h"

namespace query_itc_test {

using namespace tandem;
using namespace tandem::objectives;

namespace {

at::Tensor unit(const at::Tensor& x) {
  return (x / at::linalg_vector_norm(x, 2, {-1}, true)).detach().set_requires_grad(true);
}

}  // namespace

TEST_CASE("contrast of several features: with one of them it is the plain contrast") {
  at::manual_seed(1);
  const at::Tensor image = unit(at::randn({5, 8})), text = unit(at::randn({5, 8}));
  const at::Tensor temperature = at::tensor(0.3F).set_requires_grad(true);
  const dist::Mesh alone;
  const LossTerm plain = itc(image, text, -temperature.log(), alone);
  const QueryItc ours = query_itc(image.unsqueeze(1), text, temperature, alone);
  CHECK(ours.loss.sum.item<double>() == Approx(plain.sum.item<double>()).epsilon(1e-5));
  CHECK(ours.loss.count == plain.count);
  torch::autograd::backward({plain.sum}, {});
  const at::Tensor of_image = image.grad().clone(), of_scale = temperature.grad().clone();
  image.mutable_grad() = temperature.mutable_grad() = at::Tensor();
  torch::autograd::backward({ours.loss.sum}, {});
  CHECK(at::allclose(image.grad(), of_image, 1e-4, 1e-5));
  CHECK(at::allclose(temperature.grad(), of_scale, 1e-4, 1e-5));
}

TEST_CASE("contrast of several features: the likest counts; released keeps the value") {
  at::manual_seed(2);
  const at::Tensor image = unit(at::randn({3, 4, 6})), text = unit(at::randn({3, 6}));
  const at::Tensor temperature = at::tensor(0.2F);
  const QueryItc exact = query_itc(image, text, temperature, {}, {.smoothing = 0.1});
  const at::Tensor all = at::matmul(image, text.t());  // [3, 4, 3]
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t j = 0; j < 3; ++j) {
      const double likest = all[i].select(1, j).max().item<double>() / 0.2;
      CHECK(exact.image_to_text[i][j].item<double>() == Approx(likest).epsilon(1e-5));
      CHECK(exact.text_to_image[j][i].item<double>() == Approx(likest).epsilon(1e-5));
    }
  }
  const QueryItc released =
      query_itc(image, text, temperature, {}, {.smoothing = 0.1, .released = true});
  CHECK(released.loss.sum.item<float>() == exact.loss.sum.item<float>());
  torch::autograd::backward({released.loss.sum}, {});
  // A picture learns from its own row of texts alone.
  const at::Tensor copy = image.detach().clone().set_requires_grad(true);
  const at::Tensor rows = at::matmul(copy, text.detach().t()).amax(1) / 0.2;
  torch::autograd::backward(
      {at::cross_entropy_loss(rows, at::arange(3, at::kLong), {}, at::Reduction::Sum, -100, 0.1) /
       2},
      {});
  CHECK(at::allclose(image.grad(), copy.grad(), 1e-4, 1e-5));
}

}  // namespace query_itc_test
