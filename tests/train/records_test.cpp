#include "train/records.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace records_test {

using namespace tandem;

TEST_CASE("a row that waits in a checkpoint is read as it was, numbers that are not finite too") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const report::Row row{3, "a", {{"x", 0.5}, {"y", -inf}, {"z", std::nan("")}}};
  const report::Row read = train::row_of(report::json_of(row));
  CHECK(read.step == 3);
  CHECK(read.stage == "a");
  REQUIRE(read.values.size() == 3);
  CHECK(read.values[0].second == 0.5);
  CHECK(read.values[1].second == -inf);
  CHECK(std::isnan(read.values[2].second));
  // As other writers of JSON have it.
  CHECK(std::isnan(train::row_of(R"({"step":1,"stage":"a","x":null})").values.at(0).second));
}

}  // namespace records_test
