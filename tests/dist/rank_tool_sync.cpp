#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <functional>
#include <map>

#include "rank_tool.h"

namespace tandem::dist::tool {
namespace {

using Parameters = std::vector<at::Tensor>;
using Forward = std::function<at::Tensor(const Parameters&, const at::Tensor& x)>;

at::Tensor layer(const at::Tensor& x, const at::Tensor& w) { return x.matmul(w).tanh(); }

// A block that is computed again in its backward, as recomputation does: its parameter gets its
// gradient from a backward within the backward.
class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& w) {
    context->save_for_backward({x, w});
    return layer(x, w);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::AutoGradMode with_grad(true);
    const at::Tensor x = saved[0].detach().requires_grad_();
    torch::autograd::backward({layer(x, saved[1])}, {grads[0]});
    return {x.grad(), at::Tensor()};
  }
};

// Layers in order; `use` says which parameter each has (-1: none).
Forward chain(const std::vector<int>& use, bool recomputed = false) {
  return [=](const Parameters& p, const at::Tensor& x) {
    at::Tensor y = x;
    for (const int i : use) {
      if (i < 0) continue;
      const at::Tensor& w = p[static_cast<std::size_t>(i)];
      y = recomputed ? Recomputed::apply(y, w) : layer(y, w);
    }
    return y.pow(2).sum();
  };
}

Forward forward_of(const std::string& name, int rank) {
  const std::map<std::string, std::vector<int>> uses{
      {"plain", {0, 1, 2, 3}},
      {"missing", rank == 0 ? std::vector{0, 1, 2} : std::vector{0, rank % 2 == 0 ? 1 : -1}},
      {"shared", {0, 1, 2, 3, 0, 3}},
      {"recomputed", {0, 1, 2, 3}},
      // The shared parameter's second addition comes after the buckets have left.
      {"recomputed_shared", rank == 0 ? std::vector{0, 3, 1, 3, 2, 3} : std::vector{0, 1, 2, 3}},
  };
  return chain(uses.at(name), name.rfind("recomputed", 0) == 0);
}

Parameters make_parameters() {
  Parameters result;
  for (int i = 0; i < 4; ++i)
    result.push_back(
        at::arange(36, at::kFloat).add(7 * i).sin().mul(0.5).view({6, 6}).requires_grad_());
  return result;
}

at::Tensor input_of(int rank, int micro_batch) {
  const at::Tensor x = at::arange(12, at::kFloat).add(rank * 5 + micro_batch * 31).cos();
  return x.view({2, 6}).requires_grad_();
}

// The sums by plain means: each rank's gradients, then one all-reduce for each parameter.
Parameters expected(const Mesh& mesh, const Forward& forward, int micro_batches) {
  const Parameters p = make_parameters();
  for (int m = 0; m < micro_batches; ++m)
    torch::autograd::backward({forward(p, input_of(mesh.rank(), m))}, {});
  Parameters sums;
  for (const at::Tensor& w : p) {
    at::Tensor sum = w.grad().defined() ? w.grad().clone() : at::zeros_like(w).detach();
    all_reduce_sum(mesh, sum);
    sums.push_back(sum);
  }
  return sums;
}

void check(const Mesh& mesh, const std::string& name, std::int64_t bucket_bytes) {
  const Forward forward = forward_of(name, mesh.rank());
  const int micro_batches = 2;
  const Parameters wanted = expected(mesh, forward, micro_batches);
  const Parameters p = make_parameters();
  GradSync sync(mesh, p, bucket_bytes);
  for (int step = 0; step < 2; ++step) {
    for (const at::Tensor& w : p) w.mutable_grad() = at::Tensor();
    for (int m = 0; m < micro_batches; ++m) {
      if (m == micro_batches - 1) sync.arm();
      torch::autograd::backward({forward(p, input_of(mesh.rank(), m))}, {});
    }
    sync.finish();
    for (std::size_t i = 0; i < p.size(); ++i) {
      expect(p[i].grad().defined(), name + ": a gradient is missing");
      expect(at::allclose(p[i].grad(), wanted[i], 1e-5, 1e-6), name + ": a sum");
      say("bits " + bits(p[i].grad()));
    }
  }
}

// How many buckets were on their way when backward came to the first layer.
void overlap(const Mesh& mesh) {
  const Parameters p = make_parameters();
  GradSync sync(mesh, p, 1);
  int underway = -1;
  const at::Tensor first = layer(input_of(mesh.rank(), 0), p[0]);
  first.register_hook([&](const at::Tensor&) { underway = sync.launched(); });
  sync.arm();
  torch::autograd::backward({chain({1, 2, 3})(p, first)}, {});
  const int after = sync.launched();
  sync.finish();
  say("launched " + std::to_string(underway) + " of " + std::to_string(after));
}

void one_at_a_time(const Mesh& mesh) {
  const Parameters p = make_parameters();
  GradSync sync(mesh, p);
  sync.arm();
  bool refused = false;
  try {
    mesh.barrier();
  } catch (const std::exception&) {
    refused = true;
  }
  expect(refused, "a collective between arm() and finish()");
  sync.finish();
  mesh.barrier();
}

// A second GradSync takes the parameters over; the first one's end does not disturb it.
void hand_over(const Mesh& mesh) {
  const Parameters p = make_parameters();
  auto first = std::make_unique<GradSync>(mesh, p, 1);
  GradSync second(mesh, p, 1);
  first.reset();
  second.arm();
  torch::autograd::backward({forward_of("plain", 0)(p, input_of(mesh.rank(), 0))}, {});
  expect(second.launched() == 4, "the hooks of the second GradSync");
  second.finish();
}

}  // namespace

int sync(const std::vector<std::string>&) {
  const Mesh mesh = join(join_options_from_environment(Backend::gloo));
  for (const char* name : {"plain", "missing", "shared", "recomputed", "recomputed_shared"})
    for (const std::int64_t bytes : {1, 300, 1 << 20}) check(mesh, name, bytes);
  overlap(mesh);
  one_at_a_time(mesh);
  hand_over(mesh);
  say("done");
  return 0;
}

}  // namespace tandem::dist::tool
