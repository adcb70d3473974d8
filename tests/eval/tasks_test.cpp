#include <catch2/catch.hpp>

#include "tandem/base/error.h"
#include "tandem/eval/task.h"

namespace tasks_test {

using namespace tandem;
using namespace tandem::eval;

TEST_CASE("an unknown task is refused with those that there are") {
  CHECK_THROWS_WITH(task("retreival"), Catch::Contains("retrieval") && Catch::Contains("hard"));
  CHECK(task("hard").name == "hard");
}

}  // namespace tasks_test
