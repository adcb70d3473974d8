#include "eval/retrieval.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>

#include "tandem/base/error.h"

using namespace tandem;
using namespace tandem::eval;

namespace {

at::Tensor scores() { return at::tensor({0.9, 0.1, 0.5, 0.2, 0.2, 0.8}).view({2, 3}); }

std::vector<std::int64_t> places(std::initializer_list<bool> right) {
  at::Tensor table = at::zeros({2, 3}, at::kBool);
  std::int64_t i = 0;
  for (const bool one : right) table.view({-1})[i++] = one;
  const at::Tensor found = first_right_place(scores(), table).contiguous();
  return {found.const_data_ptr<std::int64_t>(), found.const_data_ptr<std::int64_t>() + 2};
}

}  // namespace

TEST_CASE("the first right one of several counts") {
  CHECK(places({true, false, false, false, false, true}) == std::vector<std::int64_t>{0, 0});
  CHECK(places({false, true, true, true, false, false}) == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("a tie counts against the model") {
  CHECK(places({true, false, false, true, false, false}) == std::vector<std::int64_t>{0, 2});
}

TEST_CASE("an unknown task is refused with those that there are") {
  CHECK_THROWS_WITH(task("retreival"), Catch::Contains("retrieval") && Catch::Contains("hard"));
  CHECK(task("hard").name == "hard");
}
