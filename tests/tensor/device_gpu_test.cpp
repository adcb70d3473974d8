// Copies to a GPU; run where one is (see tests/gpu.cmake).
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>

#include <catch2/catch.hpp>

#include "tandem/tensor/device.h"

namespace device_gpu_test {

TEST_CASE("batches arrive on the GPU in order while it computes", "[gpu]") {
  const at::Device gpu = tandem::resolve_device("cuda");
  CHECK(gpu.is_cuda());
  tandem::CopyLane lane(gpu);
  std::vector<at::Tensor> sent;
  at::Tensor sum;
  const auto make = [&](std::int64_t n) {
    tandem::Batch batch;
    batch.positions = {n};
    batch.images = tandem::Images{at::randint(0, 256, {16, 3, 64, 64}, at::kByte)};
    sent.push_back(batch.images->pixels);
    return tandem::pin(batch);
  };
  lane.push(make(0));
  for (std::int64_t n = 0; n < 20; ++n) {
    lane.push(make(n + 1));
    const tandem::Batch batch = lane.pop();
    CHECK(batch.positions[0] == n);
    CHECK(batch.images->pixels.is_cuda());
    CHECK(at::equal(batch.images->pixels.cpu(), sent[static_cast<std::size_t>(n)]));
  }
  tandem::synchronize(gpu);
  CHECK(tandem::peak_device_bytes(gpu) >= 16 * 3 * 64 * 64);
}

TEST_CASE("the driver and torch see the same GPUs", "[gpu]") {
  const auto found = tandem::gpus();
  REQUIRE_FALSE(found.empty());
  CHECK(found[0].bytes > 0);
  const auto last = static_cast<int>(found.size()) - 1;
  CHECK(tandem::resolve_device("cuda", last).index() == last);
  CHECK(tandem::resolve_device("auto").index() == 0);
}

}  // namespace device_gpu_test
