#include "tandem/nn/run_block.h"

#include <ATen/ops/dropout.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <vector>

#include "tandem/nn/encoder_block.h"
#include "tandem/nn/init.h"
#include "tandem/tensor/autocast.h"

namespace run_block_test {

using namespace tandem;
using namespace tandem::nn;

namespace {

struct Result {
  at::Tensor loss, input;
  std::vector<at::Tensor> parameters;
};

bool equal(const Result& a, const Result& b) {
  bool same = at::equal(a.loss, b.loss) && a.input.defined() == b.input.defined();
  if (same && a.input.defined()) same = at::equal(a.input, b.input);
  for (std::size_t i = 0; same && i < a.parameters.size(); ++i) {
    same = a.parameters[i].defined() && at::equal(a.parameters[i], b.parameters[i]);
  }
  return same;
}

// Three blocks with dropout between them; the gradients of everything.
Result run(bool recompute, bool input_wants_gradient, std::optional<Key> key) {
  std::vector<std::shared_ptr<EncoderBlock>> blocks;
  for (std::uint64_t i = 0; i < 3; ++i) {
    blocks.push_back(std::make_shared<EncoderBlock>(
        BlockShape{.width = 16, .heads = 4, .hidden = 32, .activation = quick_gelu}));
    for (auto& item : blocks.back()->named_parameters()) {
      fill_normal(item.value(), 0.2, Key(i), item.key());
    }
  }
  at::Tensor x = at::empty({2, 6, 16});
  fill_normal(x, 1, Key(9), "x");
  x.set_requires_grad(input_wants_gradient);
  at::Tensor y = x;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const auto block = [&, i](const std::vector<at::Tensor>& in) {
      const at::Tensor out = blocks[i]->forward(in[0], causal_mask());
      return key ? at::dropout(out, 0.3, true) : out;
    };
    std::optional<Key> of_block;
    if (key) of_block = key->fold(i);
    y = run_block(*blocks[i], block, {y}, {.recompute = recompute, .key = of_block});
  }
  const at::Tensor loss = (y.to(at::kFloat) * y.to(at::kFloat)).sum();
  loss.backward();
  Result result{loss.detach(), x.grad(), {}};
  for (const auto& block : blocks) {
    for (const auto& item : block->named_parameters()) result.parameters.push_back(item->grad());
  }
  return result;
}

}  // namespace

TEST_CASE("recomputed blocks give the bits of plain ones, gradients included") {
  CHECK(equal(run(false, true, {}), run(true, true, {})));
}

TEST_CASE("parameters get their gradients when the input wants none") {
  CHECK(equal(run(false, false, {}), run(true, false, {})));
}

TEST_CASE("recomputation repeats the draws of its key, whatever else was drawn") {
  const Result plain = run(false, true, Key(3));
  at::randn({1000});
  CHECK(equal(plain, run(true, true, Key(3))));
  CHECK_FALSE(equal(plain, run(true, true, Key(4))));
}

TEST_CASE("recomputation runs in the autocast of the forward pass") {
  const auto in_bf16 = [](bool recompute) {
    const Autocast autocast(at::kCPU, {true, at::kBFloat16});
    return run(recompute, true, {});
  };
  const Result plain = in_bf16(false);
  CHECK(equal(plain, in_bf16(true)));
  CHECK_FALSE(equal(plain, run(false, true, {})));
}

TEST_CASE("a block of several inputs gives each its gradient") {
  at::Tensor a = at::randn({3}).set_requires_grad(true), b = at::randn({3}).set_requires_grad(true);
  const at::Tensor c = at::randn({3});
  const Block block = [](const std::vector<at::Tensor>& in) { return in[0] * in[1] + in[2]; };
  run_block(torch::nn::Module(), block, {a, b, c}, {.recompute = true}).sum().backward();
  CHECK(at::equal(a.grad(), b.detach()));
  CHECK(at::equal(b.grad(), a.detach()));
  CHECK_FALSE(c.grad().defined());
  CHECK_THROWS(run_block(torch::nn::Module(), block, {}, {}));
}

TEST_CASE("a frozen block behind frozen inputs is run once and not recorded") {
  EncoderBlock block({.width = 8, .heads = 2, .hidden = 16});
  for (auto& item : block.named_parameters()) {
    fill_normal(item.value(), 0.2, Key(1), item.key());
    item->set_requires_grad(false);
  }
  int runs = 0;
  const Block call = [&](const std::vector<at::Tensor>& in) {
    ++runs;
    return block.forward(in[0], no_mask());
  };
  const at::Tensor x = at::randn({1, 3, 8});
  CHECK_FALSE(run_block(block, call, {x}, {.recompute = true}).requires_grad());
  CHECK(runs == 1);
  at::Tensor wanted = x.clone().set_requires_grad(true);
  run_block(block, call, {wanted}, {.recompute = true}).sum().backward();
  CHECK(runs == 3);
  CHECK(wanted.grad().defined());
}

}  // namespace run_block_test
