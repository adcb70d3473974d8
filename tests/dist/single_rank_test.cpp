#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "tandem/base/error.h"
#include "tandem/dist/mesh.h"

namespace single_rank_test {

using namespace tandem;
using namespace tandem::dist;

namespace {

std::string threads_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("Threads:", 0) == 0) return line;
  return "";
}

}  // namespace

TEST_CASE("a single rank's collectives return their input") {
  const Mesh mesh;
  CHECK(mesh.rank() == 0);
  CHECK(mesh.size() == 1);
  mesh.barrier();
  const at::Tensor given = at::arange(6, at::kFloat).view({2, 3});
  at::Tensor t = given.clone();
  all_reduce_sum(mesh, t);
  CHECK(t.equal(given));
  broadcast(mesh, t, 0);
  CHECK(t.equal(given));
  const at::Tensor all = all_gather(mesh, t);
  CHECK(all.sizes() == at::IntArrayRef{1, 2, 3});
  CHECK(all[0].equal(given));
  const std::vector<at::Tensor> rows = all_gather_uneven(mesh, t);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].equal(given));
  CHECK(all_gather_text(mesh, "one") == std::vector<std::string>{"one"});
}

TEST_CASE("joining alone starts no thread") {
  const std::string before = threads_of_this_process();
  const Mesh mesh = join(JoinOptions{});
  CHECK(mesh.size() == 1);
  CHECK(threads_of_this_process() == before);
}

TEST_CASE("on a single rank gradients stay, and a missing one becomes zeros") {
  const at::Tensor a = at::ones({3}).requires_grad_(), b = at::ones({2}).requires_grad_();
  GradSync sync(Mesh(), {a, b, a});
  sync.arm();
  torch::autograd::backward({(a * a).sum()}, {});
  sync.finish();
  CHECK(a.grad().equal(at::full({3}, 2.0)));
  REQUIRE(b.grad().defined());
  CHECK(b.grad().equal(at::zeros({2})));
}

TEST_CASE("a broadcast from a rank that does not exist is refused") {
  const Mesh mesh;
  at::Tensor t = at::ones({1});
  CHECK_THROWS_AS(broadcast(mesh, t, 1), Error);
}

TEST_CASE("NCCL without the CUDA library says what to do") {
  JoinOptions options;
  options.size = 2;
  options.backend = Backend::nccl;
  try {
    join(options);
    FAIL("joined");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    CHECK(std::string(error.what()).find("cuda preset") != std::string::npos);
  }
}

TEST_CASE("a rank outside the job is refused") {
  JoinOptions options;
  options.rank = 2;
  options.size = 2;
  CHECK_THROWS_AS(join(options), Error);
}

}  // namespace single_rank_test
