// Our kernels against their twins, and a step in bfloat16, on a GPU.
#include "tandem/nn/gpu_kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "nn/cuda/normalize_kernel.h"
#include "nn/packed_attention.h"
#include "tandem/nn/attention.h"
#include "tandem/nn/normalize.h"
#include "tandem/tensor/autocast.h"
#include "tandem/tensor/device.h"

namespace gpu_kernels_test {

using namespace tandem;
using namespace tandem::nn;

namespace {

const PixelStatistics clip_statistics{{0.48145466, 0.4578275, 0.40821073},
                                      {0.26862954, 0.26130258, 0.27577711}};

at::Tensor bytes(at::IntArrayRef shape) { return at::randint(0, 256, shape, at::kByte); }

}  // namespace

TEST_CASE("without a GPU's library the twins stay") {
  if (cuda_function("tandem_cuda_version") == nullptr) CHECK(use_gpu_kernels() == 0);
  const at::Tensor pixels = bytes({2, 3, 5, 7});
  CHECK(at::equal(normalize_pixels(pixels, clip_statistics),
                  normalize_pixels_aten(pixels, clip_statistics)));
}

TEST_CASE("the normalising kernel equals its twin for any shape and alignment", "[gpu]") {
  const at::Device gpu = resolve_device("cuda");
  REQUIRE(use_gpu_kernels() > 0);
  // Planes that packs of 4 fit into and cross; a single pixel; more than one block; none at all.
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{1, 3, 1, 1},
                                                                  {2, 3, 2, 2},
                                                                  {3, 3, 5, 7},
                                                                  {8, 3, 224, 224},
                                                                  {5, 3, 223, 225},
                                                                  {0, 3, 4, 4}}) {
    const at::Tensor pixels = bytes(shape);
    const at::Tensor expected = normalize_pixels_aten(pixels, clip_statistics);
    const at::Tensor moved = pixels.to(gpu);
    CHECK(at::equal(normalize_pixels(moved, clip_statistics).cpu(), expected));
    // ATen on the GPU multiplies by the reciprocals.
    CHECK(at::allclose(normalize_pixels_aten(moved, clip_statistics).cpu(), expected, 1e-5, 1e-6));
  }
  for (std::int64_t offset = 1; offset < 4; ++offset) {
    const at::Tensor row = bytes({offset + 2 * 3 * 6 * 6}).to(gpu);
    const at::Tensor pixels = row.slice(0, offset).view({2, 3, 6, 6});
    CHECK(at::equal(normalize_pixels(pixels, clip_statistics).cpu(),
                    normalize_pixels_aten(pixels.cpu(), clip_statistics)));
  }
  const at::Tensor turned = bytes({2, 6, 4, 3}).to(gpu).permute({0, 3, 1, 2});
  CHECK(at::equal(normalize_pixels(turned, clip_statistics).cpu(),
                  normalize_pixels_aten(turned.cpu(), clip_statistics)));
}

TEST_CASE("the normalising kernel rounds to bfloat16 as ATen does", "[gpu]") {
  const at::Device gpu = resolve_device("cuda");
  auto* kernel = reinterpret_cast<NormalizeFunction*>(cuda_function("tandem_cuda_normalize"));
  REQUIRE(kernel != nullptr);
  const at::Tensor pixels = bytes({3, 3, 33, 35}).to(gpu);
  at::Tensor out = at::empty(pixels.sizes(), pixels.options().dtype(at::kBFloat16));
  NormalizeArguments arguments;
  arguments.pixels = pixels.const_data_ptr<std::uint8_t>();
  arguments.out = out.mutable_data_ptr();
  arguments.bfloat16 = true;
  arguments.plane = 33 * 35;
  arguments.count = pixels.numel();
  for (std::size_t c = 0; c < 3; ++c) {
    arguments.mean[c] = static_cast<float>(clip_statistics.mean[c]);
    arguments.std[c] = static_cast<float>(clip_statistics.std[c]);
  }
  REQUIRE(kernel(arguments) == 0);  // the default stream, as torch's
  CHECK(
      at::equal(out.cpu(), normalize_pixels_aten(pixels.cpu(), clip_statistics).to(at::kBFloat16)));
}

TEST_CASE("packed samples see themselves only in the flash kernel", "[gpu]") {
  const at::Device gpu = resolve_device("cuda");
  const auto options = at::TensorOptions(at::kBFloat16).device(gpu);
  const std::vector<std::int64_t> ends{0, 3, 4, 40, 100};
  // As heads lie: [T, H d] seen as [1, H, T, d].
  const auto leaf = [&](std::int64_t heads) {
    return at::randn({1, 100, heads, 64}, options).set_requires_grad(true);
  };
  const at::Tensor q = leaf(6), k = leaf(2), v = leaf(2), slope = at::randn({1, 100, 384}, options);
  const auto traced = [&](const std::function<at::Tensor()>& f) {
    const at::Tensor out = f();
    torch::autograd::backward({out}, {slope});
    std::vector<at::Tensor> all{out.detach(), q.grad(), k.grad(), v.grad()};
    for (const at::Tensor& x : {q, k, v}) x.mutable_grad() = at::Tensor();
    return all;
  };
  const auto part = [](const at::Tensor& x, std::int64_t from, std::int64_t to) {
    return x.transpose(1, 2).slice(2, from, to);
  };
  for (const bool causal : {true, false}) {
    const auto packed = traced([&] {
      const auto all = attend_packed(part(q, 0, 100), part(k, 0, 100), part(v, 0, 100), ends,
                                     causal, /*dropout=*/0);
      REQUIRE(all.has_value());
      return *all;
    });
    const auto alone = traced([&] {
      std::vector<at::Tensor> parts;
      for (std::size_t i = 1; i < ends.size(); ++i) {
        Mask mask;
        mask.causal = causal;
        parts.push_back(attend(part(q, ends[i - 1], ends[i]), part(k, ends[i - 1], ends[i]),
                               part(v, ends[i - 1], ends[i]), mask));
      }
      return at::cat(parts, 1);
    });
    for (std::size_t i = 0; i < packed.size(); ++i) {
      CAPTURE(causal, i);
      CHECK(packed[i].sizes() == alone[i].sizes());
      CHECK((packed[i] - alone[i]).norm().item<double>() < 0.02 * alone[i].norm().item<double>());
    }
  }
}

TEST_CASE("a step in bfloat16 on the GPU agrees with float32", "[gpu]") {
  const at::Device gpu = resolve_device("cuda");
  const auto on_gpu = at::TensorOptions(at::kFloat).device(gpu);
  const at::Tensor weight = at::randn({64, 128}, on_gpu).mul_(0.1).set_requires_grad(true);
  const at::Tensor input = at::randn({32, 128}, on_gpu);
  const auto gradient = [&](bool half) {
    weight.mutable_grad() = at::Tensor();
    const auto loss_of = [&] {
      const Autocast autocast(at::kCUDA, {half, at::kBFloat16});
      return at::linear(input, weight).to(at::kFloat).square().mean();
    };
    loss_of().backward();
    return weight.grad().clone();
  };
  const at::Tensor exact = gradient(false), half = gradient(true);
  CHECK((exact - half).norm().item<double>() < 0.02 * exact.norm().item<double>());
}

}  // namespace gpu_kernels_test
