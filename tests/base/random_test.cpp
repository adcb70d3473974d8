#include "tandem/base/random.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace tandem;

TEST_CASE("permute is a bijection for every size") {
  for (std::uint64_t n : {1u, 2u, 3u, 7u, 64u, 100u, 1000u, 4097u}) {
    std::vector<int> seen(n, 0);
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t x = permute(Key(5).fold(n), i, n);
      REQUIRE(x < n);
      ++seen[x];
    }
    for (const int count : seen) REQUIRE(count == 1);
  }
}

TEST_CASE("permute depends on its key and moves nearly everything") {
  int same = 0, fixed = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    same += permute(Key(1), i, 1000) == permute(Key(2), i, 1000);
    fixed += permute(Key(1), i, 1000) == i;
  }
  CHECK(same < 12);
  CHECK(fixed < 12);
}

TEST_CASE("random numbers are pinned: a change would change every run") {
  Random random(Key(7).fold("data").fold(3));
  const std::uint64_t first = random.bits();
  CHECK(first == Random(Key(7).fold("data").fold(3)).bits());
  CHECK(first != Random(Key(7).fold("data").fold(4)).bits());
  CHECK(first != Random(Key(7).fold("crop").fold(3)).bits());
}

TEST_CASE("uniform, below and normal have the moments they should") {
  Random random(Key(11));
  double sum = 0, squares = 0, normal_sum = 0, normal_squares = 0;
  std::vector<int> counts(7, 0);
  const int n = 70000;
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    sum += u;
    squares += u * u;
    const double z = random.normal();
    normal_sum += z;
    normal_squares += z * z;
    ++counts[random.below(7)];
  }
  CHECK(sum / n == Approx(0.5).margin(0.01));
  CHECK(squares / n == Approx(1.0 / 3).margin(0.01));
  CHECK(normal_sum / n == Approx(0).margin(0.02));
  CHECK(normal_squares / n == Approx(1).margin(0.03));
  for (const int count : counts) CHECK(count == Approx(n / 7.0).epsilon(0.05));
}
