#include "train/filling.h"

#include <catch2/catch.hpp>

namespace filling_test {

using namespace tandem;
using namespace tandem::train;

TEST_CASE("padding is the share of all places, and packs say how full they are") {
  StepFilling filling{.tokens = 90, .padding = 10, .micro_batches = 2};
  const auto numbers = numbers_of(filling);
  REQUIRE(numbers.size() == 2);
  CHECK(numbers[0] == std::pair<std::string, double>{"tokens", 90});
  CHECK(numbers[1] == std::pair<std::string, double>{"padding", 0.1});
  config::StageConfig stage;
  stage.name = "s";
  CHECK(filling_line(stage, filling) == "stage s: 90 tokens in micro-batches, padding 10.0 %");
  stage.data.max_tokens = 64;
  filling += {.tokens = 102, .padding = 0, .micro_batches = 1};
  CHECK(filling_line(stage, filling) ==
        "stage s: 192 tokens in micro-batches, padding 5.0 %; 3 packs of at most 64 tokens, "
        "100.0 % full");
}

TEST_CASE("a stage without learned texts says nothing of tokens") {
  CHECK(numbers_of({}).empty());
  CHECK(filling_line({}, {.micro_batches = 4}).empty());
}

}  // namespace filling_test
