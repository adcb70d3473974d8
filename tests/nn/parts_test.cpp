#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "tandem/base/error.h"
#include "tandem/nn/encoder_block.h"
#include "tandem/nn/init.h"
#include "tandem/nn/normalize.h"
#include "tandem/nn/vision_input.h"

namespace parts_test {

using namespace tandem;
using namespace tandem::nn;

namespace {

void randomize(torch::nn::Module& module) {
  for (auto& item : module.named_parameters()) fill_normal(item.value(), 0.3, Key(1), item.key());
}

// softmax(q k^t / sqrt(d)) v, head by head, nothing joined.
at::Tensor naive_attention(const Attention& a, const at::Tensor& x, const at::Tensor& visible) {
  const std::int64_t width = x.size(2), d = width / a.heads;
  const at::Tensor q = a.q_proj->forward(x), k = a.k_proj->forward(x), v = a.v_proj->forward(x);
  at::Tensor out = at::empty_like(q);
  for (std::int64_t h = 0; h < a.heads; ++h) {
    const auto part = [&](const at::Tensor& t) { return t.narrow(2, h * d, d); };
    at::Tensor scores = at::matmul(part(q), part(k).transpose(1, 2)) / std::sqrt(double(d));
    scores = scores.masked_fill(visible.logical_not(), -1e30);
    part(out).copy_(at::matmul(at::softmax(scores, -1), part(v)));
  }
  return a.out_proj->forward(out);
}

}  // namespace

TEST_CASE("attention equals softmax of the scores times the values, for every mask") {
  const at::NoGradGuard no_grad;
  Attention attention(24, 3);
  randomize(attention);
  const at::Tensor x = at::randn({2, 5, 24});
  const at::Tensor all = at::ones({2, 5, 5}, at::kBool);
  const at::Tensor mask = at::tensor({1, 1, 1, 0, 0, 1, 1, 1, 1, 1}).view({2, 5});
  const at::Tensor keys = mask.to(at::kBool).unsqueeze(1).expand({2, 5, 5});
  const auto near = [&](const Mask& m, const at::Tensor& visible) {
    return at::allclose(attention.forward(x, m), naive_attention(attention, x, visible), 1e-5,
                        1e-5);
  };
  CHECK(near(no_mask(), all));
  CHECK(near(causal_mask(), all.tril()));
  CHECK(near(padding_mask(mask), keys));
  CHECK(near(causal_padding_mask(mask), keys.logical_and(all.tril())));
  CHECK_FALSE(near(causal_mask(), all));
}

TEST_CASE("a sample that is all padding gives numbers, not NaN") {
  const at::NoGradGuard no_grad;
  Attention attention(8, 2);
  randomize(attention);
  const at::Tensor mask = at::tensor({0, 0, 0, 0, 1, 1}).view({2, 3});
  const at::Tensor y = attention.forward(at::randn({2, 3, 8}), causal_padding_mask(mask));
  CHECK(y.isfinite().all().item<bool>());
}

TEST_CASE("heads that do not divide the width are refused") { CHECK_THROWS(Attention(10, 3)); }

TEST_CASE("rows of a block's output equal the whole output at these rows, gradients included") {
  EncoderBlock block({.width = 16, .heads = 2, .hidden = 32, .activation = quick_gelu});
  randomize(block);
  const at::Tensor rows = at::tensor({4, 0, 2});
  const at::Tensor mask = at::tensor({1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0}).view({3, 5});
  const at::Tensor weights = at::randn({3, 16});
  for (const Mask& m : {no_mask(), causal_mask(), padding_mask(mask), causal_padding_mask(mask)}) {
    at::Tensor a = at::randn({3, 5, 16}).set_requires_grad(true);
    at::Tensor b = a.detach().clone().set_requires_grad(true);
    const at::Tensor whole = take_rows(block.forward(a, m), rows);
    const at::Tensor some = block.forward_rows(b, rows, m);
    CHECK(at::allclose(whole, some, 1e-4, 1e-5));
    (whole * weights).sum().backward();
    const at::Tensor expected = block.self_attn->k_proj->weight.grad().clone();
    block.zero_grad();
    (some * weights).sum().backward();
    CHECK(at::allclose(a.grad(), b.grad(), 1e-4, 1e-5));
    CHECK(at::allclose(expected, block.self_attn->k_proj->weight.grad(), 1e-4, 1e-5));
    block.zero_grad();
  }
}

TEST_CASE("quick gelu is x sigmoid(1.702 x) and has its derivative") {
  at::Tensor x = (at::randn({1000}, at::kDouble) * 4).set_requires_grad(true);
  at::Tensor y = x.detach().clone().set_requires_grad(true);
  const at::Tensor ours = quick_gelu(x), plain = y * at::sigmoid(y * 1.702);
  CHECK(at::allclose(ours, plain, 1e-12, 1e-12));
  (ours * ours).sum().backward();
  (plain * plain).sum().backward();
  CHECK(at::allclose(x.grad(), y.grad(), 1e-10, 1e-10));
  CHECK_FALSE(at::allclose(erf_gelu(x), ours, 1e-3, 1e-3));
}

TEST_CASE("patches times a matrix equal a convolution with stride = kernel") {
  const at::NoGradGuard no_grad;
  PatchEmbed embed(4, 10, true);
  randomize(embed);
  const at::Tensor pixels = at::randn({2, 3, 9, 12});  // a row of pixels is left over
  const at::Tensor conv =
      at::conv2d(pixels, embed.weight, embed.bias, {4, 4}).flatten(2).transpose(1, 2);
  CHECK(at::allclose(embed.forward(pixels), conv, 1e-5, 1e-5));
}

TEST_CASE("positions keep the class row and are resized as a picture") {
  const at::Tensor positions = at::randn({1 + 9, 4});
  CHECK(interpolate_positions(positions, 1, 3, 3).is_same(positions));
  const at::Tensor larger = interpolate_positions(positions, 1, 5, 2);
  CHECK(larger.sizes() == at::IntArrayRef({1 + 10, 4}));
  CHECK(at::equal(larger[0], positions[0]));
  const at::Tensor flat = at::ones({1 + 4, 2}) * 3;
  CHECK(at::allclose(interpolate_positions(flat, 1, 7, 7), at::ones({50, 2}) * 3));
  CHECK_THROWS_AS(interpolate_positions(at::ones({1 + 5, 2}), 1, 2, 2), Error);
}

TEST_CASE("pixels are normalised with the same bits by the table and by its twin") {
  const PixelStatistics statistics{{0.48145466, 0.4578275, 0.40821073},
                                   {0.26862954, 0.26130258, 0.27577711}};
  const at::Tensor pixels = at::randint(0, 256, {3, 3, 17, 5}, at::kByte);
  const at::Tensor out = normalize_pixels(pixels, statistics);
  CHECK(at::equal(out, normalize_pixels_aten(pixels, statistics)));
  const double expected = (pixels[2][1][3][4].item<int>() / 255.0 - 0.4578275) / 0.26130258;
  CHECK(out[2][1][3][4].item<double>() == Approx(expected).epsilon(1e-5));
  const at::Tensor ready = at::rand({1, 3, 2, 2});
  CHECK(normalize_pixels(ready, statistics).is_same(ready));
  CHECK_THROWS(normalize_pixels(pixels[0], statistics));
  CHECK_THROWS(normalize_pixels(pixels.to(at::kInt), statistics));
}

TEST_CASE("initial values depend on key and name only, and have the spread asked for") {
  const at::Tensor a = at::empty({200, 500}), b = at::empty({200, 500});
  fill_normal(a, 0.02, Key(5), "x");
  fill_normal(b, 0.02, Key(5), "x");
  CHECK(at::equal(a, b));
  CHECK(a.std().item<double>() == Approx(0.02).epsilon(0.02));
  fill_normal(b, 0.02, Key(5), "y");
  CHECK_FALSE(at::equal(a, b));
  fill_uniform(b, 0.5, Key(5), "y");
  CHECK(b.abs().max().item<double>() <= 0.5);
  CHECK(b.abs().max().item<double>() > 0.499);
  CHECK(b.mean().item<double>() == Approx(0).margin(0.01));
}

}  // namespace parts_test
