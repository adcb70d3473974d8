// The same batch over 1, 2 and 4 processes: this binary starts itself, once a rank.

#include <ATen/ATen.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "tandem/objectives/itc.h"
#include "tandem/objectives/query_itc.h"

namespace itc_ranks_test {

using namespace tandem;
using namespace tandem::objectives;

namespace {

constexpr std::int64_t rows = 8, width = 5;

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

// Exit codes of `ranks` copies of this binary that run the test case tagged `tag`.
std::vector<int> run_ranks(int ranks, const std::string& tag) {
  const std::string port = std::to_string(free_port());
  std::vector<pid_t> children;
  for (int rank = 0; rank < ranks; ++rank) {
    std::vector<std::string> environment{"RANK=" + std::to_string(rank),
                                         "LOCAL_RANK=" + std::to_string(rank),
                                         "WORLD_SIZE=" + std::to_string(ranks),
                                         "MASTER_ADDR=127.0.0.1",
                                         "MASTER_PORT=" + port,
                                         "OMP_NUM_THREADS=1"};
    for (char** e = environ; *e != nullptr; ++e) environment.emplace_back(*e);
    std::vector<char*> envp;
    for (std::string& e : environment) envp.push_back(e.data());
    envp.push_back(nullptr);
    std::string self = "/proc/self/exe", filter = tag;
    char* argv[] = {self.data(), filter.data(), nullptr};
    pid_t child = 0;
    REQUIRE(posix_spawn(&child, self.c_str(), nullptr, nullptr, argv, envp.data()) == 0);
    children.push_back(child);
  }
  std::vector<int> codes;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  }
  return codes;
}

struct Leaves {
  at::Tensor image, text, log_scale;
};

Leaves make_leaves(std::int64_t first, std::int64_t count) {
  at::manual_seed(11);
  const auto unit = [&] {
    const at::Tensor x = at::randn({rows, width}, at::kDouble);
    return (x / x.norm(2, -1, true)).narrow(0, first, count).clone().set_requires_grad(true);
  };
  at::Tensor image = unit(), text = unit();
  return {image, text, at::full({}, 2.0, at::kDouble).set_requires_grad(true)};
}

bool near(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>() < 1e-11;
}

}  // namespace

TEST_CASE("one rank of several", "[.rank]") {
  const dist::Mesh mesh = dist::join(dist::join_options_from_environment(dist::Backend::gloo));
  REQUIRE(mesh.size() > 1);
  const std::int64_t own = rows / mesh.size(), first = own * mesh.rank();
  const Leaves whole = make_leaves(0, rows);
  const LossTerm expected = itc(whole.image, whole.text, whole.log_scale, dist::Mesh());
  expected.sum.backward();
  const at::Tensor image_grad = whole.image.grad().narrow(0, first, own);
  const at::Tensor text_grad = whole.text.grad().narrow(0, first, own);

  const auto check = [&](const Leaves& p, at::Tensor sum, double share) {
    dist::all_reduce_sum(mesh, sum);
    CHECK(near(sum, expected.sum.detach()));
    CHECK(near(p.image.grad(), image_grad * share));
    CHECK(near(p.text.grad(), text_grad * share));
    at::Tensor scale_grad = p.log_scale.grad().clone();
    dist::all_reduce_sum(mesh, scale_grad);  // as the gradient sync does
    CHECK(near(scale_grad, whole.log_scale.grad()));
  };
  for (const std::int64_t chunk : {0, 1, 3}) {
    const Leaves p = make_leaves(first, own);
    const LossTerm term = itc(p.image, p.text, p.log_scale, mesh, {.chunk = chunk});
    CHECK(term.count == static_cast<double>(own));
    term.sum.backward();
    check(p, term.sum.detach().clone(), 1);
  }
  {  // micro-batches of one pair
    const Leaves p = make_leaves(first, own);
    const ItcSolution solution = solve_itc(p.image, p.text, p.log_scale, mesh);
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (std::int64_t i = 0; i < own; ++i) {
      const LossTerm term =
          replay_itc(p.image.narrow(0, i, 1), p.text.narrow(0, i, 1), p.log_scale, solution, i);
      term.sum.backward();
      sum += term.sum.detach();
    }
    check(p, sum, 1);
  }
  {  // the original's gradient: 1 / W of the features', all of the temperature's
    const Leaves p = make_leaves(first, own);
    const LossTerm term = itc(p.image, p.text, p.log_scale, mesh, {.released = true});
    term.sum.backward();
    check(p, term.sum.detach().clone(), 1.0 / mesh.size());
  }
  {  // several features a picture: here its row and the next one
    const auto several = [](const Leaves& p) { return at::stack({p.image, -p.image.flip(0)}, 1); };
    const auto contrast = [&](const Leaves& p, const dist::Mesh& ranks) {
      return query_itc(several(p), p.text, p.log_scale.exp().reciprocal(), ranks,
                       {.smoothing = 0.1});
    };
    // The second feature must be of the same pictures on any number of ranks.
    const Leaves all = make_leaves(0, rows), p = make_leaves(first, own);
    std::vector<at::Tensor> blocks;
    for (std::int64_t r = 0; r < mesh.size(); ++r) {
      const at::Tensor part = all.image.narrow(0, r * own, own);
      blocks.push_back(at::stack({part, -part.flip(0)}, 1));
    }
    const QueryItc expected_several = query_itc(
        at::cat(blocks), all.text, all.log_scale.exp().reciprocal(), {}, {.smoothing = 0.1});
    expected_several.loss.sum.backward();
    const QueryItc ours = contrast(p, mesh);
    ours.loss.sum.backward();
    at::Tensor sum = ours.loss.sum.detach().clone(), scale_grad = p.log_scale.grad().clone();
    dist::all_reduce_sum(mesh, sum);
    dist::all_reduce_sum(mesh, scale_grad);
    CHECK(near(sum, expected_several.loss.sum.detach()));
    CHECK(near(p.image.grad(), all.image.grad().narrow(0, first, own)));
    CHECK(near(p.text.grad(), all.text.grad().narrow(0, first, own)));
    CHECK(near(scale_grad, all.log_scale.grad()));
    CHECK(near(ours.image_to_text, expected_several.image_to_text.narrow(0, first, own)));
  }
  mesh.barrier();
}

TEST_CASE("over 2 and 4 ranks loss and gradients are those of one big batch") {
  CHECK(run_ranks(2, "[.rank]") == std::vector<int>(2, 0));
  CHECK(run_ranks(4, "[.rank]") == std::vector<int>(4, 0));
}

}  // namespace itc_ranks_test
