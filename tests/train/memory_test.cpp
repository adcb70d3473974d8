#include "train/memory.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <stdexcept>

namespace memory_test {

using namespace tandem::train;

TEST_CASE("what is kept and the most that was held are counted, and nothing after it") {
  const Held held = measure_held([]() -> std::shared_ptr<void> {
    const at::Tensor gone = at::zeros({3000}, at::kFloat);
    return std::make_shared<at::Tensor>(at::zeros({1000}, at::kFloat));
  });
  CHECK(held.kept == 4000);
  CHECK(held.peak == 16000);
  at::zeros({5000});
  CHECK(measure_held([]() -> std::shared_ptr<void> { return nullptr; }).peak == 0);
}

TEST_CASE("a graph keeps what its backward pass needs") {
  const at::Tensor x = at::full({100}, 2.0).set_requires_grad(true);
  const auto kept = [&](bool graph) {
    return measure_held([&]() -> std::shared_ptr<void> {
             const at::Tensor squared = (graph ? x : x.detach()).exp();
             return std::make_shared<at::Tensor>(squared.sum());
           })
        .kept;
  };
  CHECK(kept(true) >= 400);
  CHECK(kept(false) < 100);
}

TEST_CASE("an error inside leaves the allocator as it was") {
  CHECK_THROWS_AS(measure_held([]() -> std::shared_ptr<void> { throw std::runtime_error("no"); }),
                  std::runtime_error);
  CHECK(measure_held([]() -> std::shared_ptr<void> {
          return std::make_shared<at::Tensor>(at::zeros({10}, at::kFloat));
        }).kept == 40);
}

}  // namespace memory_test
