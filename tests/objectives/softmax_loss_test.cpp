// The softmax part of the loss of the next word by our kernel against its twin: on the CPU by the
// same arithmetic in a loop, on a GPU by the kernel itself.
#include "objectives/softmax_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <limits>

#include "../support/host_lanes.h"
#include "objectives/cuda/softmax_loss_rows.h"
#include "tandem/objectives/gpu_kernels.h"
#include "tandem/objectives/lm.h"
#include "tandem/objectives/token_loss.h"
#include "tandem/tensor/device.h"

namespace softmax_loss_test {

using namespace tandem;
using namespace tandem::objectives;

namespace {

// What the .cu file does, with a loop for a block.
struct HostSoftmaxLoss {
  template <class T, int N>
  int operator()(const SoftmaxLossArguments& a) const {
    const int lanes = lanes_for((a.words + N - 1) / N, 1024);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      const auto row = SoftmaxLossRow<T, N>::at(a, r);
      const float counted = a.counted == nullptr ? 1.0F : a.counted[r];
      if (counted == 0.0F) {
        if (a.slopes) for_each_lane(lanes, [&](int lane) { row.write_zeros(lane, lanes); });
        a.losses[r] = 0;
        if (a.smoothed != nullptr) a.smoothed[r] = 0;
        continue;
      }
      const std::int64_t label = a.labels[r];
      const float score = row.score_of(label);
      const Seen all = joined_on_host(lanes, nothing_seen(), JoinSeen(),
                                      [&](int lane) { return row.seen(lane, lanes); });
      a.losses[r] = row.loss(all, score) * counted;
      if (a.smoothed != nullptr) a.smoothed[r] = row.smoothed(all, score, a.smoothing) * counted;
      if (!a.slopes) continue;
      const float share = a.shares == nullptr ? counted : counted * a.shares[r];
      for_each_lane(
          lanes, [&](int lane) { row.write_slopes(all, label, a.smoothing, share, lane, lanes); });
    }
    return 0;
  }
};

int host_softmax_loss(const SoftmaxLossArguments& a) {
  return softmax_loss_by_type<c10::BFloat16, c10::Half>(a, HostSoftmaxLoss());
}

struct Place {
  at::Device device = at::kCPU;
};

Place on_host() {
  set_softmax_loss_kernel(at::kCPU, host_softmax_loss);
  return {};
}

Place on_gpu() {
  const at::Device gpu = resolve_device("cuda");
  REQUIRE(use_gpu_kernels() == 1);
  return {gpu};
}

// Takes the kernels away again.
struct Afterwards {
  Afterwards() = default;
  Afterwards(const Afterwards&) = delete;
  Afterwards& operator=(const Afterwards&) = delete;
  ~Afterwards() { set_softmax_loss_kernel(at::kCPU, nullptr); }
};

at::Tensor drawn_labels(std::int64_t rows, std::int64_t words, const Place& place) {
  return at::randint(0, words, {rows}, at::kLong).to(place.device);
}

void check_kernel(const Place& place) {
  at::manual_seed(3);
  const std::int64_t rows = 6;
  for (const std::int64_t words : {1, 5, 32, 100, 1000, 1001, 9000}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      for (const double smoothing : {0.0, 0.1, 1.0}) {
        for (const bool weighted : {false, true}) {
          CAPTURE(words, type, smoothing, weighted);
          const at::Tensor scores = (at::randn({rows, words}) * 5).to(place.device, type);
          SoftmaxLossInput in;
          in.labels = drawn_labels(rows, words, place);
          in.smoothing = smoothing;
          if (weighted) {
            in.counted = at::ones({rows}, at::kFloat).to(place.device);
            in.counted.select(0, 2).zero_();
            in.shares = at::randn({rows}).to(place.device);
          }
          const SoftmaxLoss without = softmax_loss(scores.clone(), in);
          CHECK_FALSE(without.slopes.defined());
          in.slopes = true;
          const at::Tensor given = scores.clone();
          const SoftmaxLoss own = softmax_loss(given, in);
          const SoftmaxLoss twin = softmax_loss_aten(scores.clone(), in);
          CHECK(own.slopes.const_data_ptr() == given.const_data_ptr());  // in place
          CHECK(at::equal(own.losses, without.losses));
          CHECK(at::allclose(own.losses, twin.losses, 1e-5, 1e-5));
          CHECK(at::allclose(own.smoothed, twin.smoothed, 1e-5, 2e-5));
          const at::Tensor slopes = own.slopes.to(at::kFloat);
          const double close = type == at::kBFloat16 ? 0.008 : type == at::kHalf ? 1e-3 : 1e-5;
          CHECK(at::allclose(slopes, twin.slopes.to(type).to(at::kFloat), close, 1e-6));
        }
      }
    }
  }
}

void check_far_scores(const Place& place) {
  const float infinity = std::numeric_limits<float>::infinity();
  at::Tensor scores = at::randn({5, 40});
  scores.select(0, 0).mul_(1e4);
  scores.select(0, 1).narrow(0, 0, 32).fill_(-infinity);  // whole lanes see nothing
  scores.select(0, 2).fill_(-3e38);
  scores.select(0, 3).select(0, 7).fill_(std::numeric_limits<float>::quiet_NaN());
  scores = scores.to(place.device);
  SoftmaxLossInput in;
  in.labels = at::full({5}, 35, at::kLong).to(place.device);
  in.slopes = true;
  const SoftmaxLoss own = softmax_loss(scores.clone(), in);
  const SoftmaxLoss twin = softmax_loss_aten(scores.clone(), in);
  for (const std::int64_t row : {0, 1, 2, 4}) {
    CAPTURE(row);
    CHECK(at::allclose(own.losses[row], twin.losses[row], 1e-5, 1e-5));
    CHECK(at::allclose(own.slopes[row], twin.slopes[row], 1e-5, 1e-6));
  }
  CHECK(own.losses[3].isnan().item<bool>());
  // A label that is no word reads nothing and is seen; one that does not count is not read.
  in.labels.select(0, 0).fill_(40);
  in.labels.select(0, 1).fill_(-100);
  in.counted = at::ones({5}, at::kFloat).to(place.device);
  in.counted.select(0, 1).zero_();
  in.counted.select(0, 3).zero_();
  const SoftmaxLoss wrong = softmax_loss(scores.clone(), in);
  CHECK(wrong.losses[0].isnan().item<bool>());
  CHECK(wrong.losses[1].item<double>() == 0);
  CHECK(wrong.slopes[1].abs().max().item<double>() == 0);
  CHECK(wrong.slopes[3].abs().max().item<double>() == 0);
  CHECK(softmax_loss(scores.narrow(0, 0, 0), {in.labels.narrow(0, 0, 0)}).losses.numel() == 0);
}

struct Learned {
  at::Tensor sum, hidden, weight;
};

// The loss in pieces through the kernel, and the whole one of ATen.
void check_lm_loss(const Place& place) {
  at::manual_seed(4);
  const auto leaf = [&](at::IntArrayRef shape) {
    return at::randn(shape).to(place.device).set_requires_grad(true);
  };
  const at::Tensor hidden = leaf({2, 11, 8}), weight = leaf({40, 8});
  at::Tensor labels = at::randint(0, 40, {2, 11}, at::kLong);
  for (std::int64_t t = 0; t < 11; t += 3) labels.select(1, t).fill_(ignored);
  const double count = count_labels(labels);
  labels = labels.to(place.device);
  const auto learned = [&](const at::Tensor& sum) {
    torch::autograd::backward({sum}, {});
    Learned out{sum.detach(), hidden.grad(), weight.grad()};
    hidden.mutable_grad() = at::Tensor();
    weight.mutable_grad() = at::Tensor();
    return out;
  };
  const auto check_same = [](const Learned& a, const Learned& b) {
    CHECK(at::allclose(a.sum, b.sum, 1e-5, 1e-5));
    CHECK(at::allclose(a.hidden, b.hidden, 1e-4, 1e-5));
    CHECK(at::allclose(a.weight, b.weight, 1e-4, 1e-5));
  };
  const at::Tensor shares = at::rand({2, 11}).to(place.device);
  for (const double known : {count, -1.0}) {
    for (const double smoothing : {0.0, 0.1}) {
      CAPTURE(known, smoothing);
      check_same(learned(lm_loss(hidden, weight, labels, known, {smoothing, 5}).sum),
                 learned(lm_loss_plain(hidden, weight, labels, count, {smoothing, 0}).sum));
    }
    const at::Tensor each = token_losses(hidden, weight, labels, known, {0, 4});
    const Learned own = learned((each * shares).sum());
    set_softmax_loss_kernel(place.device.type(), nullptr);
    const Learned twin =
        learned((token_losses(hidden, weight, labels, known, {0, 4}) * shares).sum());
    place.device.is_cpu() ? on_host() : on_gpu();
    check_same(own, twin);
  }
}

}  // namespace

TEST_CASE("the arithmetic of the kernel of the LM loss is its twin's") {
  const Afterwards guard;
  check_kernel(on_host());
}
TEST_CASE("scores that are far apart, infinite or none, and labels that are no words") {
  const Afterwards guard;
  check_far_scores(on_host());
}
TEST_CASE("the LM loss in pieces takes the kernel where there is one") {
  const Afterwards guard;
  check_lm_loss(on_host());
}

TEST_CASE("the kernel of the LM loss equals its twin", "[gpu]") {
  check_kernel(on_gpu());
  check_far_scores(on_gpu());
}
TEST_CASE("the LM loss on a GPU takes the kernel", "[gpu]") { check_lm_loss(on_gpu()); }

}  // namespace softmax_loss_test
