// RMSNorm, rotary positions and SwiGLU by our kernels against their twins, forward and backward: on
// the CPU by the same arithmetic in a loop (host_kernels.h), on a GPU by the kernels themselves.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>

#include "host_kernels.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/gpu_kernels.h"
#include "tandem/nn/init.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/rms_norm.h"
#include "tandem/nn/rotary.h"
#include "tandem/tensor/autocast.h"
#include "tandem/tensor/device.h"

namespace fused_test {

using namespace tandem;
using namespace tandem::nn;

namespace {

// Where kernels are tried, and which.
struct Place {
  at::Device device = at::kCPU;
  Kernels kernels{};
};

Place on_host() { return {at::kCPU, host_kernels()}; }

Place on_gpu() {
  const at::Device gpu = resolve_device("cuda");
  REQUIRE(use_gpu_kernels() == 6);
  return {gpu, kernels_of(at::kCUDA)};
}

// The kernels of a place instead of the twins, while it lives.
class Kernelled {
 public:
  explicit Kernelled(const Place& place) : type_(place.device.type()) {
    set_kernels(type_, place.kernels);
  }
  ~Kernelled() { set_kernels(type_, {}); }
  Kernelled(const Kernelled&) = delete;
  Kernelled& operator=(const Kernelled&) = delete;

 private:
  at::DeviceType type_;
};

using Tensors = std::vector<at::Tensor>;

// f's results, and the gradients of leaves for drawn gradients of the results. kernels: not null:
// by them.
Tensors traced(const std::function<Tensors()>& f, const Tensors& leaves, const Place* kernels) {
  std::optional<Kernelled> guard;
  if (kernels != nullptr) guard.emplace(*kernels);
  Tensors out = f(), slopes;
  at::manual_seed(11);
  for (const at::Tensor& result : out) {
    slopes.push_back(at::randn(result.sizes()).to(result.options()));
  }
  torch::autograd::backward(out, slopes);
  for (at::Tensor& result : out) result = result.detach();
  for (const at::Tensor& leaf : leaves) {
    out.push_back(leaf.grad());
    leaf.mutable_grad() = at::Tensor();
  }
  return out;
}

// Equal to the precision of the type. half: something was rounded to half precision on the way;
// then nearly all numbers agree better than that, as another order of casts changes many of them.
void check_near(const at::Tensor& a, const at::Tensor& b, bool half) {
  REQUIRE(a.scalar_type() == b.scalar_type());
  REQUIRE(a.sizes() == b.sizes());
  const at::Tensor x = a.to(at::kFloat), y = b.to(at::kFloat);
  if (!half) {
    CHECK(at::allclose(x, y, 1e-5, 2e-5));
    return;
  }
  CHECK(at::allclose(x, y, 0.016, 0.03));
  const at::Tensor apart = (x - y).abs().gt(y.abs() * 1e-5 + 2e-5);
  CHECK(apart.sum().item<double>() <= 2 + 0.03 * static_cast<double>(x.numel()));
}

void check_both(const std::function<Tensors()>& f, const Tensors& leaves, const Place& place) {
  const Tensors twin = traced(f, leaves, nullptr), own = traced(f, leaves, &place);
  bool half = false;
  for (const at::Tensor& leaf : leaves) half = half || leaf.scalar_type() != at::kFloat;
  for (std::size_t i = 0; i < twin.size(); ++i) {
    CAPTURE(i);
    check_near(own[i], twin[i], half);
  }
}

// A leaf. offset: it begins so many numbers behind an aligned place.
at::Tensor leaf(at::IntArrayRef shape, at::ScalarType type, const Place& place,
                std::int64_t offset = 0) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  const at::Tensor drawn = at::randn({count + offset}).to(place.device, type);
  return drawn.narrow(0, offset, count).view(shape).detach().set_requires_grad(true);
}

// --- RMSNorm ---------------------------------------------------------------------------------

struct Types {
  at::ScalarType x, delta, weight;
};

const std::vector<Types> norm_types{{at::kFloat, at::kFloat, at::kFloat},
                                    {at::kFloat, at::kBFloat16, at::kFloat},
                                    {at::kFloat, at::kHalf, at::kFloat},
                                    {at::kBFloat16, at::kBFloat16, at::kFloat},
                                    {at::kBFloat16, at::kBFloat16, at::kBFloat16},
                                    {at::kHalf, at::kHalf, at::kFloat},
                                    {at::kHalf, at::kHalf, at::kHalf}};

void check_rms_norm(const Place& place) {
  at::manual_seed(5);
  // Rows of less than a warp, of no whole packs, of one pack too many, of several packs a lane.
  for (const std::int64_t width : {1, 7, 32, 100, 256, 264, 2049, 4096}) {
    for (const Types& types : norm_types) {
      for (const std::int64_t offset : {0, 1}) {
        CAPTURE(width, types.x, types.delta, types.weight, offset);
        RmsNorm norm(width, 1e-3);
        norm.weight = leaf({width}, types.weight, place);
        const at::Tensor x = leaf({3, 5, width}, types.x, place, offset);
        const at::Tensor delta = leaf({3, 5, width}, types.delta, place);
        check_both([&] { return Tensors{norm.forward(x)}; }, {x, norm.weight}, place);
        const auto with_residual = [&] {
          const auto [sum, normed] = norm.forward_sum(x, delta);
          return Tensors{sum, normed};
        };
        check_both(with_residual, {x, delta, norm.weight}, place);
      }
    }
  }
}

void check_rms_norm_edges(const Place& place) {
  at::manual_seed(6);
  RmsNorm norm(24, 1e-3);
  norm.weight = leaf({24}, at::kFloat, place);
  // More rows than parts of the weight's gradient, and rows that do not lie side by side.
  const at::Tensor many = leaf({1300, 24}, at::kFloat, place);
  check_both([&] { return Tensors{norm.forward(many)}; }, {many, norm.weight}, place);
  const at::Tensor turned = leaf({24, 6}, at::kBFloat16, place);
  const at::Tensor delta = leaf({24, 6}, at::kBFloat16, place);
  check_both(
      [&] {
        const auto [sum, normed] = norm.forward_sum(turned.t(), delta.t());
        return Tensors{normed, sum};
      },
      {turned, delta, norm.weight}, place);
  // Only one of the two results is used.
  const at::Tensor more = leaf({1300, 24}, at::kFloat, place);
  check_both([&] { return Tensors{norm.forward_sum(many, more).second}; }, {many, more}, place);
  norm.weight.mutable_grad() = at::Tensor();
  check_both([&] { return Tensors{norm.forward_sum(many, more).first}; }, {many, more}, place);
  // A frozen weight, and a frozen input.
  const at::Tensor weight = norm.weight;
  norm.weight = weight.detach();
  check_both([&] { return Tensors{norm.forward(many)}; }, {many}, place);
  norm.weight = weight;
  check_both([&] { return Tensors{norm.forward(many.detach())}; }, {weight}, place);
  // Nothing at all.
  const at::Tensor none = leaf({0, 24}, at::kFloat, place);
  check_both([&] { return Tensors{norm.forward(none)}; }, {none, weight}, place);
  const Kernelled guard(place);
  CHECK(norm.forward(none).sizes() == none.sizes());
}

// --- Rotary positions ------------------------------------------------------------------------

Rotary tables(std::int64_t batch, std::int64_t tokens, std::int64_t width, bool three,
              const Place& place) {
  RopeShape shape;
  shape.head_dim = width;
  at::Tensor positions = at::arange(tokens, at::kLong).unsqueeze(0).expand({batch, tokens});
  positions = positions + at::arange(batch, at::kLong).unsqueeze(1) * 3;
  if (three) {
    shape.sections = {width / 2 - 2, 1, 1};
    positions = at::stack({positions, positions * 2, positions + 7});
  }
  const Rotary rotary = make_rotary(shape, positions);
  // Nothing in the formula asks that both halves of a head have the same angles.
  const at::Tensor scale = at::linspace(0.5, 1.5, width);
  return {(rotary.cos * scale).to(place.device), (rotary.sin * scale).to(place.device)};
}

void check_rotary(const Place& place) {
  at::manual_seed(7);
  for (const std::int64_t width : {6, 16, 80, 128}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      for (const bool three : {false, true}) {
        for (const std::int64_t table : {1, 2}) {
          CAPTURE(width, type, three, table);
          const Rotary rotary = tables(table, 5, width, three, place);
          const at::Tensor packed = leaf({2, 5, 3 * width}, type, place);
          const auto heads = [&] { return packed.view({2, 5, 3, width}).transpose(1, 2); };
          check_both([&] { return Tensors{rotate(heads(), rotary)}; }, {packed}, place);
          // Queries and keys of one product, and heads that do not begin at a pack.
          const at::Tensor joined = leaf({2, 5, 2 * 3 * width}, type, place, 1);
          const auto both = [&] {
            const auto parts = split_heads(joined, 2, 3);
            const auto [q, k] = rotate_both(parts[0], parts[1], rotary);
            return Tensors{q, k};
          };
          check_both(both, {joined}, place);
        }
      }
    }
  }
}

void check_rotary_in_place(const Place& place) {
  at::manual_seed(8);
  const Rotary rotary = tables(1, 5, 16, false, place);
  const at::Tensor q = leaf({2, 5, 48}, at::kBFloat16, place);
  const at::Tensor k = leaf({2, 5, 16}, at::kBFloat16, place);
  const auto heads = [](const at::Tensor& x) {
    return x.view({2, 5, x.size(2) / 16, 16}).transpose(1, 2);
  };
  const at::Tensor before = q.detach().clone();
  const Kernelled guard(place);
  const auto [kept_q, kept_k] = rotate_both(heads(q), heads(k), rotary);
  CHECK(at::equal(q, before));  // a gradient is recorded
  CHECK(kept_q.requires_grad());
  const at::NoGradGuard no_grad;
  const at::Tensor turned = rotate(heads(q), rotary);
  CHECK(at::equal(q, before));  // nobody gave it away
  const auto [q_over, k_over] = rotate_both(heads(q), heads(k), rotary);
  CHECK(q_over.const_data_ptr() == q.const_data_ptr());
  CHECK(k_over.const_data_ptr() == k.const_data_ptr());
  CHECK(at::equal(heads(q), turned));
  check_near(turned, rotate_aten(heads(before), rotary), true);
  // One number that stands for several is not written over.
  const at::Tensor one = heads(k).narrow(2, 0, 1).clone();
  const auto [spread, other] = rotate_both(one.expand({2, 1, 5, 16}), heads(q), rotary);
  CHECK(spread.const_data_ptr() != one.const_data_ptr());
  check_near(spread, rotate_aten(one.expand({2, 1, 5, 16}), rotary), true);
  CHECK(other.defined());
}

// --- SwiGLU ----------------------------------------------------------------------------------

void check_swiglu(const Place& place) {
  at::manual_seed(9);
  const Activation silu = activation_of("silu");
  for (const std::int64_t width : {1, 3, 8, 37, 512}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      for (const std::int64_t offset : {0, 1}) {
        CAPTURE(width, type, offset);
        const at::Tensor gate = leaf({3, 5, width}, type, place);
        const at::Tensor up = leaf({3, 5, width}, type, place, offset);
        check_both([&] { return Tensors{gated(silu, gate * 4, up)}; }, {gate, up}, place);
        const auto turned = [&] {
          return Tensors{gated(silu, gate.transpose(0, 1), up.transpose(0, 1))};
        };
        check_both(turned, {gate, up}, place);
      }
    }
  }
  const at::Tensor none = leaf({0, 8}, at::kBFloat16, place);
  check_both([&] { return Tensors{gated(silu, none, none)}; }, {none}, place);
  const at::Tensor far = at::tensor({-200.0F, -90.0F, 90.0F, 200.0F}).to(place.device);
  const at::Tensor gate = far.detach().set_requires_grad(true), up = leaf({4}, at::kFloat, place);
  check_both([&] { return Tensors{gated(silu, gate, up)}; }, {gate, up}, place);
}

// --- All of them in a decoder ----------------------------------------------------------------

void check_decoder(const Place& place) {
  DecoderShape shape;
  shape.width = 48;
  shape.layers = 2;
  shape.heads = 6;
  shape.kv_heads = 2;
  shape.head_dim = 8;
  shape.hidden = 40;
  shape.vocab_size = 30;
  Decoder decoder(shape);
  for (auto& item : decoder.named_parameters()) fill_normal(item.value(), 0.3, Key(1), item.key());
  decoder.to(place.device);
  const Rotary rotary = tables(1, 9, 8, true, place);
  const at::Tensor x = leaf({2, 9, 48}, at::kFloat, place);
  Tensors leaves{x};
  for (const at::Tensor& parameter : decoder.parameters()) {
    if (!parameter.is_same(decoder.embed_tokens->weight)) leaves.push_back(parameter);
  }
  for (const auto& [again, half] : {std::pair{false, false}, {true, false}, {false, true}}) {
    BlockContext context;
    context.recompute = again;
    const auto run = [&, half = half] {
      const Autocast autocast(place.device.type(), {half, at::kBFloat16});
      return Tensors{decoder.forward(x, rotary, causal_mask(), context)};
    };
    const Tensors twin = traced(run, leaves, nullptr), own = traced(run, leaves, &place);
    for (std::size_t i = 0; i < twin.size(); ++i) {
      CAPTURE(again, half, i);
      const double far = (own[i] - twin[i]).norm().item<double>();
      CHECK(far <= (half ? 2e-2 : 1e-4) * twin[i].norm().item<double>());
    }
  }
}

}  // namespace

TEST_CASE("the arithmetic of the RMSNorm kernel is its twin's") { check_rms_norm(on_host()); }
TEST_CASE("the RMSNorm kernel is called with what it wants") { check_rms_norm_edges(on_host()); }
TEST_CASE("the arithmetic of the rotary kernel is its twin's") { check_rotary(on_host()); }
TEST_CASE("rotary positions are written over where autograd allows it") {
  check_rotary_in_place(on_host());
}
TEST_CASE("the arithmetic of the SwiGLU kernel is its twin's") { check_swiglu(on_host()); }
TEST_CASE("a decoder with the kernels' arithmetic is a decoder") { check_decoder(on_host()); }

TEST_CASE("the RMSNorm kernel equals its twin, forward and backward", "[gpu]") {
  check_rms_norm(on_gpu());
  check_rms_norm_edges(on_gpu());
}
TEST_CASE("the rotary kernel equals its twin, forward and backward", "[gpu]") {
  check_rotary(on_gpu());
  check_rotary_in_place(on_gpu());
}
TEST_CASE("the SwiGLU kernel equals its twin, forward and backward", "[gpu]") {
  check_swiglu(on_gpu());
}
TEST_CASE("a decoder with the kernels is a decoder on the GPU", "[gpu]") {
  check_decoder(on_gpu());
}

}  // namespace fused_test
