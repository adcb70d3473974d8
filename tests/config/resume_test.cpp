#include <catch2/catch.hpp>

#include "support.h"

namespace tandem::config {
namespace {

std::vector<std::string> differences(const std::vector<std::string>& overrides) {
  return resume_differences(load_text(small()).resolved, load_text(small(), overrides).resolved);
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a run goes on with the same config, and with another end or cut of the work",
          "[config]") {
  CHECK(differences({}).empty());
  CHECK(differences({"name=x", "threads=3", "recompute=true", "loader.threads=9", "eval.every=3",
                     "eval.tasks=[hard]", "checkpoint.keep=9", "stages.first.data.micro_batch=4",
                     "stages.first.until.steps=99"})
            .empty());
  CHECK(differences({"stages.first.until={epochs: 2}"}).empty());
}

TEST_CASE("any other difference is named with both values", "[config]") {
  CHECK(differences({"seed=8"}) == Lines{"seed: 7 -> 8"});
  CHECK(differences({"stages.first.optimizer.lr=1", "stages.first.data.batch=32",
                     "model.vision.width=9"}) == Lines{"model.vision.width: 64 -> 9",
                                                       "stages.first.data.batch: 64 -> 32",
                                                       "stages.first.optimizer.lr: 5e-4 -> 1"});
  CHECK(differences({"stages.first.optimizer.betas=[0, 0.5]"}) ==
        Lines{"stages.first.optimizer.betas: [0.9, 0.98] -> [0, 0.5]"});
  CHECK(differences({"model.projection=null"}) ==
        Lines{"model.projection: (absent) -> null", "model.projection.width: 32 -> (absent)"});
  CHECK(differences({"stages.first.train=[{match: a, freeze: true}]"}) ==
        Lines{"stages.first.train: all -> (absent)",
              "stages.first.train.0.freeze: (absent) -> true",
              "stages.first.train.0.lr_scale: (absent) -> 1",
              "stages.first.train.0.match: (absent) -> a"});
  CHECK(differences({"stages.first.losses={until: 1}"}).size() == 2);
}

TEST_CASE("another order of the stages is a difference", "[config]") {
  const std::string head = small().substr(0, small().find("stages:"));
  const std::string a = "  - {name: a, losses: {x: 1}, until: {steps: 1}}\n";
  const std::string b = "  - {name: b, losses: {x: 1}, until: {steps: 1}}\n";
  CHECK(resume_differences(load_text(head + "stages:\n" + a + b).resolved,
                           load_text(head + "stages:\n" + b + a).resolved) ==
        Lines{"stages: [a, b] -> [b, a]"});
}

TEST_CASE("a resolved config that is damaged is an error of the config", "[config]") {
  try {
    resume_differences("a: [", load_text(small()).resolved);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    CHECK(error.message().find("the run's config:") == 0);
  }
}

TEST_CASE("the values of a resolved config are flat, stages by their names", "[config]") {
  const auto values = flat_values(load_text(small()).resolved);
  CHECK(values.at("seed") == "7");
  CHECK(values.at("stages.first.until.steps") == "10");
  CHECK(values.at("stages.first.optimizer.betas") == "[0.9, 0.98]");
  CHECK(values.at("stages") == "[first]");
  CHECK_THROWS_AS(flat_values("a: [b"), Error);
}

TEST_CASE("the nearest name is within a few letters", "[config]") {
  const std::vector<std::string> known{"optimizer", "losses", "lr", "micro_batch", "batch"};
  CHECK(nearest("optimiser", known) == "optimizer");
  CHECK(nearest("optimzier", known) == "optimizer");  // a swap is one step
  CHECK(nearest("Losses", known) == "losses");
  CHECK(nearest("micro-batch", known) == "micro_batch");
  CHECK(nearest("lr", known) == "lr");
  CHECK(nearest("rl", known) == "lr");
  CHECK(nearest("opti", known) == "optimizer");  // the start of one name only
  CHECK(nearest("xy", known).empty());
  CHECK(nearest("temperature", known).empty());
  CHECK(nearest("", known).empty());
  CHECK(nearest(std::string(1000, 'b'), known).empty());
  CHECK(nearest("batch", std::vector<std::string>(1001, "batch")).empty());
  CHECK(nearest("a", {}).empty());
}

}  // namespace tandem::config
