// NCCL with one rank: that libtandem_cuda.so brings it, and that it moves and sums.
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>

#include <catch2/catch.hpp>

#include "dist/impl.h"
#include "dist/nccl.h"
#include "dist/socket.h"
#include "tandem/tensor/device.h"

namespace nccl_gpu_test {

using namespace tandem;
using namespace tandem::dist;

TEST_CASE("one rank over NCCL sums, gathers and broadcasts", "[gpu]") {
  const at::Device gpu = resolve_device("cuda");
  REQUIRE(nccl_factory() != nullptr);
  JoinOptions options;
  options.backend = Backend::nccl;
  const Mesh mesh{make_impl(options)};
  const at::Tensor given = at::arange(6, at::TensorOptions(at::kFloat).device(gpu)).view({2, 3});
  at::Tensor sum = given.clone();
  all_reduce_sum(mesh, sum);
  CHECK(at::equal(sum, given));
  CHECK(at::equal(all_gather(mesh, given), given.unsqueeze(0)));
  at::Tensor copy = given.clone();
  broadcast(mesh, copy, 0);
  CHECK(at::equal(copy, given));
  mesh.barrier();
}

}  // namespace nccl_gpu_test
