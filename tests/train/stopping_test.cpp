#include "train/stopping.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tandem/base/error.h"

namespace stopping_test {

using namespace tandem;
using namespace tandem::train;

namespace {

// After how many of these evaluations the stage ends; 0: never.
int ends_after(const config::StopConfig& stop, const std::vector<double>& values) {
  Patience patience;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (out_of_patience(patience, stop, {{stop.metric, values[i]}}, static_cast<int>(i))) {
      return static_cast<int>(i) + 1;
    }
  }
  return 0;
}

}  // namespace

TEST_CASE("a stage ends after so many evaluations in a row without an improvement") {
  const config::StopConfig up{.metric = "eval.retrieval.mean", .patience = 2};
  CHECK(ends_after(up, {0.1, 0.2, 0.2, 0.3, 0.1, 0.3}) == 6);
  CHECK(ends_after(up, {0.1, 0.2, 0.3, 0.4}) == 0);
  CHECK(ends_after(up, {0.3, 0.2, 0.1}) == 3);
}

TEST_CASE("a loss improves downwards, and the mode can say otherwise") {
  const config::StopConfig loss{.metric = "eval.loss.total", .patience = 1};
  CHECK(ends_after(loss, {3, 2, 1, 1}) == 4);
  const config::StopConfig up{.metric = "eval.loss.total", .patience = 1, .mode = "max"};
  CHECK(ends_after(up, {3, 2}) == 2);
  const config::StopConfig down{.metric = "eval.x.error", .patience = 1, .mode = "min"};
  CHECK(ends_after(down, {3, 2, 2.5}) == 3);
}

TEST_CASE("less than min_delta is no improvement, and a number that is not finite is none") {
  const config::StopConfig stop{.metric = "m", .patience = 2, .min_delta = 0.1};
  CHECK(ends_after(stop, {0.5, 0.55, 0.6}) == 3);
  CHECK(ends_after(stop, {0.5, 0.55, 0.65}) == 0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(ends_after(stop, {nan, nan}) == 2);
  CHECK(ends_after(stop, {nan, 0.1, INFINITY, 0.3}) == 0);
}

TEST_CASE("a metric that there is not is refused with those that there are") {
  CHECK_THROWS_WITH(metric_of({{"eval.loss.itc", 1}}, "eval.loss.total", "stop.metric"),
                    Catch::Contains("eval.loss.itc") && Catch::Contains("stop.metric"));
}

}  // namespace stopping_test
