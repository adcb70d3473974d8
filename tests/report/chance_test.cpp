#include "tandem/report/chance.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace tandem::report;

namespace {

// The warnings that a loss which goes from `from` to `to` gives, with the step of each.
std::vector<std::pair<int, std::string>> warnings(double from, double to) {
  ChanceWatch watch({{"itc", {std::log(64), "ln 64"}}}, 10, 50);
  std::vector<std::pair<int, std::string>> found;
  for (int step = 1; step <= 400; ++step) {
    const double loss = from + (to - from) * step / 400;
    const std::string text = watch.add("itc", step, loss);
    if (!text.empty()) found.emplace_back(step, text);
  }
  return found;
}

}  // namespace

TEST_CASE("a loss that stays at its chance level is told once, after the warm-up and a window") {
  const auto found = warnings(4.16, 4.15);
  REQUIRE(found.size() == 1);
  CHECK(found[0].first == 60);
  CHECK_THAT(found[0].second, Catch::Contains("itc") && Catch::Contains("4.1589 (ln 64)") &&
                                  Catch::Contains("50 steps"));
  CHECK(warnings(9, 9).size() == 1);  // worse than guessing
}

TEST_CASE("a loss that falls, is not finite or has no level is not told") {
  CHECK(warnings(4.0, 1).empty());
  CHECK(warnings(std::numeric_limits<double>::quiet_NaN(), 1).empty());
  ChanceWatch watch({}, 0, 1);
  CHECK(watch.add("itc", 5, 100).empty());
}

TEST_CASE("the window is a tenth of the stage within bounds") {
  CHECK(chance_window(20) == 50);
  CHECK(chance_window(3000) == 300);
  CHECK(chance_window(1'000'000) == 1000);
}
