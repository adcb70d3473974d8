#include "tandem/nn/decoder.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>

#include "tandem/nn/init.h"

namespace decoder_test {

using namespace tandem;
using namespace tandem::nn;

namespace {

DecoderShape small() {
  DecoderShape s;
  s.width = 24;
  s.layers = 2;
  s.heads = 6;
  s.kv_heads = 2;
  s.head_dim = 4;
  s.hidden = 20;
  s.vocab_size = 30;
  s.qkv_bias = true;
  return s;
}

Rotary rotary_at(const at::Tensor& positions) {
  RopeShape rope;
  rope.head_dim = 4;
  return make_rotary(rope, positions);
}

at::Tensor from_zero(std::int64_t length) { return at::arange(length, at::kLong).unsqueeze(0); }

// A decoder with drawn parameters.
struct Drawn : Decoder {
  explicit Drawn(const DecoderShape& shape = small(), const DecoderNames& names = {})
      : Decoder(shape, names) {
    for (auto& item : named_parameters()) fill_normal(item.value(), 0.3, Key(1), item.key());
  }

  // What it gives for ids without padding, all at once.
  at::Tensor at_once(const at::Tensor& ids) {
    return forward(embed(ids), rotary_at(from_zero(ids.size(1))), causal_mask());
  }
};

bool near(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-4, 1e-5); }

}  // namespace

TEST_CASE("a decoder with a cache gives, token by token, what it gives at once") {
  const at::NoGradGuard no_grad;
  Drawn decoder;
  const at::Tensor ids = at::randint(0, 30, {2, 9}, at::kLong);
  const at::Tensor whole = decoder.at_once(ids);
  KvCache cache(2);
  std::vector<at::Tensor> parts;
  for (const auto& [first, count] : {std::pair{0, 4}, {4, 3}, {7, 1}, {8, 1}}) {
    const at::Tensor mask = at::ones({2, first + count}, at::kLong);
    const at::Tensor embeds = decoder.embed(ids.narrow(1, first, count));
    const Rotary rotary = rotary_at(from_zero(9).narrow(1, first, count));
    parts.push_back(
        decoder.forward(embeds, rotary, decoder_mask(mask, count, first == 7), {}, &cache));
  }
  CHECK(cache.length() == 9);
  CHECK(near(at::cat(parts, 1), whole));
}

TEST_CASE("padding on the left changes nothing of what stands behind it") {
  const at::NoGradGuard no_grad;
  Drawn decoder;
  const at::Tensor ids = at::randint(0, 30, {1, 5}, at::kLong);
  const at::Tensor alone = decoder.at_once(ids);
  const at::Tensor padded = at::cat({at::randint(0, 30, {1, 3}, at::kLong), ids}, 1);
  const at::Tensor mask = at::tensor({0, 0, 0, 1, 1, 1, 1, 1}, at::kLong).view({1, 8});
  const at::Tensor positions = positions_of(mask);
  CHECK(at::equal(positions.narrow(1, 3, 5), from_zero(5)));
  const at::Tensor both =
      decoder.forward(decoder.embed(padded), rotary_at(positions), decoder_mask(mask, 8));
  CHECK(near(both.narrow(1, 3, 5), alone));
}

TEST_CASE("texts laid end to end give what each gives alone, gradients too") {
  Drawn decoder;
  const std::vector<std::int64_t> lengths{3, 1, 5};
  std::vector<at::Tensor> ids, positions, segments;
  at::Tensor alone;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    ids.push_back(at::randint(0, 30, {1, lengths[i]}, at::kLong));
    positions.push_back(from_zero(lengths[i]));
    segments.push_back(at::full({1, lengths[i]}, static_cast<std::int64_t>(i), at::kLong));
    const at::Tensor out = decoder.at_once(ids[i]);
    alone = alone.defined() ? at::cat({alone, out}, 1) : out;
  }
  torch::autograd::backward({alone.pow(2).sum()}, {});
  std::vector<at::Tensor> wanted;
  for (auto& parameter : decoder.parameters()) {
    wanted.push_back(parameter.grad());
    parameter.mutable_grad() = at::Tensor();
  }
  const auto ends = ends_of_segments(at::cat(segments, 1));
  CHECK(ends == std::vector<std::int64_t>{0, 3, 4, 9});
  CHECK(ends_of(at::tensor({0, 3, 3, 4, 9}, at::kInt)) == ends);
  const at::Tensor packed = decoder.forward(
      decoder.embed(at::cat(ids, 1)), rotary_at(at::cat(positions, 1)), packed_mask(ends, true));
  CHECK(near(packed, alone));
  torch::autograd::backward({packed.pow(2).sum()}, {});
  std::size_t i = 0;
  for (const auto& parameter : decoder.parameters()) CHECK(near(parameter.grad(), wanted[i++]));
}

TEST_CASE("joined projections of queries, keys and values give what separate ones give") {
  const at::NoGradGuard no_grad;
  Drawn apart;
  DecoderNames names;
  names.qkv = "attn.c_attn";
  names.layers = "h";
  Drawn joined(small(), names);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto &a = *apart.layers[i], &b = *joined.layers[i];
    b.qkv->weight.copy_(at::cat({a.q->weight, a.k->weight, a.v->weight}));
    b.qkv->bias.copy_(at::cat({a.q->bias, a.k->bias, a.v->bias}));
    for (const auto& [from, to] :
         {std::pair{a.out, b.out}, {a.gate, b.gate}, {a.up, b.up}, {a.down, b.down}}) {
      to->weight.copy_(from->weight);
    }
    b.input_norm->weight.copy_(a.input_norm->weight);
    b.post_norm->weight.copy_(a.post_norm->weight);
  }
  joined.embed_tokens->weight.copy_(apart.embed_tokens->weight);
  joined.norm->weight.copy_(apart.norm->weight);
  const at::Tensor ids = at::randint(0, 30, {2, 6}, at::kLong);
  CHECK(near(apart.at_once(ids), joined.at_once(ids)));
}

TEST_CASE("three equal positions a token are one position; sections take their own axis") {
  RopeShape plain, sections;
  plain.head_dim = sections.head_dim = 16;
  sections.sections = {2, 3, 3};
  const at::Tensor positions = from_zero(5) * 3;
  const at::Tensor x = at::randn({1, 2, 5, 16});
  const at::Tensor same = at::stack({positions, positions, positions});
  CHECK(
      at::equal(rotate(x, make_rotary(plain, positions)), rotate(x, make_rotary(sections, same))));
  const Rotary mixed = make_rotary(sections, at::stack({positions, positions + 1, positions + 2}));
  for (const auto& [first, count, axis] : {std::tuple{0, 2, 0}, {2, 3, 1}, {5, 3, 2}}) {
    const Rotary own = make_rotary(plain, positions + axis);
    CHECK(at::equal(mixed.cos.narrow(2, first, count), own.cos.narrow(2, first, count)));
    CHECK(at::equal(mixed.sin.narrow(2, 8 + first, count), own.sin.narrow(2, 8 + first, count)));
  }
}

TEST_CASE("the row of the padding word learns nothing from being looked up") {
  DecoderShape shape = small();
  shape.pad_id = 4;
  Drawn decoder(shape);
  torch::autograd::backward({decoder.embed(at::tensor({4, 5}, at::kLong).view({1, 2})).sum()}, {});
  const at::Tensor grad = decoder.embed_tokens->weight.grad();
  CHECK(grad[4].abs().sum().item<double>() == 0);
  CHECK(grad[5].abs().sum().item<double>() > 0);
}

TEST_CASE("RMSNorm equals its formula, forward and backward, in every type") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    RmsNorm norm(12, 0.01);
    const double near_by = type == at::kBFloat16 ? 3e-2 : 1e-5;
    fill_normal(norm.weight, 1, Key(1), "w");
    const at::Tensor x = at::randn({3, 37, 12}).to(type).set_requires_grad(true);
    const at::Tensor target = at::randn({3, 37, 12});
    const auto run = [&](const at::Tensor& y) {
      torch::autograd::backward({(y.to(at::kFloat) * target).sum()}, {});
      std::vector<at::Tensor> out{y.detach().to(at::kFloat), x.grad().to(at::kFloat),
                                  norm.weight.grad()};
      x.mutable_grad() = at::Tensor();
      norm.weight.mutable_grad() = at::Tensor();
      return out;
    };
    const at::Tensor wide = type == at::kDouble ? x : x.to(at::kFloat);
    const at::Tensor root = at::rsqrt(wide.pow(2).mean(-1, true) + 0.01);
    const auto plain = run(norm.weight * (wide * root).to(type));
    const auto own = run(norm.forward(x));
    for (std::size_t i = 0; i < 3; ++i) CHECK(at::allclose(own[i], plain[i], near_by, near_by));
  }
}

namespace {

DecoderShape sliding(std::int64_t window) {
  DecoderShape shape = small();
  shape.layers = 3;
  shape.window = window;
  shape.first_window = 1;
  return shape;
}

}  // namespace

TEST_CASE("a window hides what stands further back, in the layers that have one") {
  const at::NoGradGuard no_grad;
  const Mask mask = sliding_mask(causal_mask(), 2, 4, 4, at::kCPU);
  const at::Tensor seen = mask.bias.view({4, 4}).eq(0).to(at::kLong);
  CHECK(at::equal(
      seen, at::tensor({1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1}, at::kLong).view({4, 4})));
  CHECK(sliding_mask(causal_mask(), 4, 4, 4, at::kCPU).causal);  // all are near
  const at::Tensor packed =
      sliding_mask(packed_mask({0, 1, 4}, true), 2, 4, 4, at::kCPU).bias.view({4, 4}).eq(0);
  CHECK(at::equal(
      packed.to(at::kLong),
      at::tensor({1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1}, at::kLong).view({4, 4})));
  // Two layers of windows reach back 2 x 2 tokens, the first layer over all of them.
  Drawn near_sighted(sliding(3)), far_sighted(sliding(20));
  const at::Tensor ids = at::randint(0, 30, {1, 9}, at::kLong);
  const at::Tensor with = near_sighted.at_once(ids), without = far_sighted.at_once(ids);
  CHECK(near(with.narrow(1, 0, 3), without.narrow(1, 0, 3)));
  CHECK_FALSE(near(with.narrow(1, 3, 6), without.narrow(1, 3, 6)));
}

TEST_CASE("windows are the same with a cache, with padding on the left and in a pack") {
  const at::NoGradGuard no_grad;
  Drawn decoder(sliding(3));
  const at::Tensor ids = at::randint(0, 30, {1, 9}, at::kLong);
  const at::Tensor whole = decoder.at_once(ids);
  KvCache cache(3);
  std::vector<at::Tensor> parts;
  for (const auto& [first, count] : {std::pair{0, 5}, {5, 2}, {7, 1}, {8, 1}}) {
    const at::Tensor mask = at::ones({1, first + count}, at::kLong);
    parts.push_back(decoder.forward(decoder.embed(ids.narrow(1, first, count)),
                                    rotary_at(from_zero(9).narrow(1, first, count)),
                                    decoder_mask(mask, count, first == 7), {}, &cache));
  }
  CHECK(near(at::cat(parts, 1), whole));
  const at::Tensor padded = at::cat({at::randint(0, 30, {1, 4}, at::kLong), ids}, 1);
  const at::Tensor mask = at::cat({at::full({1, 4}, 0, at::kLong), at::ones({1, 9}, at::kLong)}, 1);
  const at::Tensor behind =
      decoder.forward(decoder.embed(padded), rotary_at(positions_of(mask)), decoder_mask(mask, 13));
  CHECK(near(behind.narrow(1, 4, 9), whole));
  const at::Tensor twice = decoder.forward(decoder.embed(at::cat({ids, ids}, 1)),
                                           rotary_at(at::cat({from_zero(9), from_zero(9)}, 1)),
                                           packed_mask({0, 9, 18}, true));
  CHECK(near(twice.narrow(1, 0, 9), whole));
  CHECK(near(twice.narrow(1, 9, 9), whole));
}

}  // namespace decoder_test
