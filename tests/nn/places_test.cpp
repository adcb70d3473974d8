// Where rows and tokens stand: blocks of a tower that are looked at, positions that a caller names.

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <catch2/catch.hpp>

#include "tandem/base/error.h"
#include "tandem/nn/init.h"
#include "tandem/nn/opt.h"
#include "tandem/nn/vit.h"

namespace places_test {

using namespace tandem;
using namespace tandem::nn;

namespace {

void fill_all(torch::nn::Module& module) {
  for (auto& item : module.named_parameters()) fill_normal(item.value(), 0.3, Key(1), item.key());
}

OptShape small_opt() {
  OptShape shape;
  shape.width = 16;
  shape.layers = 2;
  shape.heads = 2;
  shape.hidden = 20;
  shape.vocab_size = 30;
  shape.positions = 12;
  shape.dropout = 0;
  return shape;
}

}  // namespace

TEST_CASE("rows after some blocks of a transformer of pictures are those on its way") {
  VitShape shape;
  shape.block = {12, 2, 24};
  shape.layers = 3;
  shape.image_size = 8;
  shape.patch_size = 4;
  const auto names = hugging_face_vit_names();
  Vit whole(shape, names);
  fill_all(whole);
  at::manual_seed(1);
  const at::Tensor pixels = at::randn({2, 3, 8, 8});
  const auto seen = whole.states(pixels, {3, 1, 0}, {});
  REQUIRE(seen.size() == 3);
  CHECK(at::equal(seen[0], whole.forward_blocks(pixels, {})));
  CHECK(at::equal(whole.norm->forward(seen[0]), whole.forward(pixels, {})));
  at::Tensor x = seen[2];
  x = whole.blocks[0]->forward(x, no_mask());
  CHECK(at::equal(seen[1], x));
  CHECK_FALSE(at::allclose(seen[0], x));
  CHECK_THROWS_AS(whole.states(pixels, {4}, {}), Error);
}

TEST_CASE("OPT at positions that are named: the texts of a row see what each sees alone") {
  Opt opt(small_opt());
  fill_all(opt);
  at::manual_seed(1);
  const at::Tensor ids = at::randint(3, 30, {2, 5}, at::kLong);
  const at::Tensor words = opt.embed(ids);
  const at::Tensor alone = opt.forward(words, {}, {});
  const at::Tensor positions = at::arange(5, at::kLong).unsqueeze(0);
  CHECK(at::equal(opt.forward_at(words, positions, causal_mask(), {}), alone));
  const at::Tensor packed = opt.forward_at(words.reshape({1, 10, 16}), positions.repeat({1, 2}),
                                           packed_mask({0, 5, 10}, true), {});
  CHECK(at::allclose(packed.view({2, 5, 16}), alone, 1e-4, 1e-5));
  CHECK_NOTHROW(opt.expect_room(12));
  CHECK_THROWS_AS(opt.expect_room(13), Error);
}

}  // namespace places_test
