#include "tandem/train/schedule.h"

#include <catch2/catch.hpp>

namespace schedule_test {

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

TEST_CASE("polynomial decay is that of transformers") {
  // get_polynomial_decay_schedule_with_warmup(lr_init = 1, lr_end = 0.1, power = 2, warmup 2, of
  // 12)
  config::OptimizerConfig o{
      .lr = 1.0, .warmup = 2, .schedule = "polynomial", .min_lr = 0.1, .power = 2};
  CHECK(learning_rate(o, 2, 12) == Approx(1.0));
  CHECK(learning_rate(o, 7, 12) == Approx(0.9 * 0.25 + 0.1));
  CHECK(learning_rate(o, 12, 12) == Approx(0.1));
  o.power = 1;
  config::OptimizerConfig linear = o;
  linear.schedule = "linear";
  for (int step = 0; step < 12; ++step) {
    CHECK(learning_rate(o, step, 12) == Approx(learning_rate(linear, step, 12)));
  }
}

TEST_CASE("step decay multiplies at its milestones, or every so many steps, down to min_lr") {
  config::OptimizerConfig o{.lr = 1.0, .warmup = 2, .schedule = "step"};
  o.milestones = {4, 8};
  o.gamma = 0.5;
  CHECK(learning_rate(o, 0, 100) == Approx(0.5));  // warm-up
  CHECK(learning_rate(o, 3, 100) == Approx(1.0));
  CHECK(learning_rate(o, 4, 100) == Approx(0.5));
  CHECK(learning_rate(o, 7, 100) == Approx(0.5));
  CHECK(learning_rate(o, 8, 100) == Approx(0.25));
  o.milestones = {};
  o.step_size = 3;
  o.min_lr = 0.2;
  CHECK(learning_rate(o, 2, 100) == Approx(1.0));
  CHECK(learning_rate(o, 3, 100) == Approx(0.5));
  CHECK(learning_rate(o, 6, 100) == Approx(0.25));
  CHECK(learning_rate(o, 9, 100) == Approx(0.2));
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

}  // namespace schedule_test
