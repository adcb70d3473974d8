#include "tandem/train/schedule.h"

#include <catch2/catch.hpp>

using namespace tandem;
using namespace tandem::train;

TEST_CASE("warm-up is linear and reaches the peak at its last step") {
  config::OptimizerConfig optimizer{.lr = 1.0, .warmup = 4};
  CHECK(learning_rate(optimizer, 0, 100) == Approx(0.25));
  CHECK(learning_rate(optimizer, 3, 100) == Approx(1.0));
}

TEST_CASE("cosine and linear end at min_lr, constant stays") {
  config::OptimizerConfig optimizer{.lr = 1.0, .warmup = 0, .schedule = "cosine", .min_lr = 0.1};
  CHECK(learning_rate(optimizer, 0, 10) == Approx(1.0));
  CHECK(learning_rate(optimizer, 5, 10) == Approx(0.55));
  CHECK(learning_rate(optimizer, 10, 10) == Approx(0.1));
  optimizer.schedule = "linear";
  CHECK(learning_rate(optimizer, 5, 10) == Approx(0.55));
  CHECK(learning_rate(optimizer, 9, 10) == Approx(0.19));
  optimizer.schedule = "constant";
  CHECK(learning_rate(optimizer, 9, 10) == Approx(1.0));
}

TEST_CASE("a stage's end is rounded up to whole steps") {
  config::StageConfig stage;
  stage.data.batch = 32;
  stage.until = {.samples = 100};
  CHECK(total_steps(stage, 50) == 4);
  stage.until = {.epochs = 3};
  CHECK(total_steps(stage, 50) == 5);
  stage.until = {.steps = 7};
  CHECK(total_steps(stage, 50) == 7);
}
