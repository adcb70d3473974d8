#include <catch2/catch.hpp>

#include "support.h"

namespace tandem::config {
namespace {

std::string two_stages() {
  return small() + R"(  - name: second
    losses: {lm: 1}
    optimizer: {lr: 1, warmup: 5}
    train: [a, {match: b, lr: 2}]
    until: {steps: 20}
)";
}

}  // namespace

TEST_CASE("overrides set stated and unstated keys, stages by name and by position", "[config]") {
  const RunConfig c =
      load_text(two_stages(),
                {"seed=9", "stages.second.optimizer.lr=1e-3", "stages.0.optimizer.warmup=100 steps",
                 "stages.first.data.micro_batch=8", "model.vision.width=96", "recompute=true",
                 "eval.tasks=[retrieval, {task: hard, size: 5}]", "stages.1.train.1.lr=3",
                 "name=renamed", "stages.second.until={samples: 30}"})
          .config;
  CHECK(c.name == "renamed");
  CHECK(c.seed == 9);
  CHECK(c.recompute);
  CHECK(c.stages[1].optimizer.lr == 1e-3);
  CHECK(c.stages[1].optimizer.warmup == 5);
  CHECK(c.stages[0].optimizer.warmup == 100);
  CHECK(c.stages[0].data.micro_batch == 8);
  CHECK(c.stages[1].train[1].lr == 3);
  CHECK(c.stages[1].until.steps == 0);
  CHECK(c.stages[1].until.samples == 30);
  CHECK(dynamic_cast<const TwoTower&>(*c.model.settings).width == 96);
  REQUIRE(c.eval.tasks.size() == 2);
  CHECK(c.eval.tasks[1].size == 5);
}

TEST_CASE("the later of two overrides wins, and all come after the includes", "[config]") {
  Folder folder;
  folder.write("base.yaml", small());
  folder.write("run.yaml", "include: [base.yaml]\nstages: [{name: first, until: {steps: 4}}]\n");
  const RunConfig c = load(folder.path() / "run.yaml",
                           {"stages.first.until.steps=5", "stages.first.until.steps=6"}, tables())
                          .config;
  CHECK(c.stages[0].until.steps == 6);
}

TEST_CASE("a list is replaced whole, a value with = keeps it", "[config]") {
  const RunConfig c = load_text(two_stages(), {"stages.second.train=[x=y]",
                                               "stages.first.optimizer.betas=[0, 0.5]"})
                          .config;
  REQUIRE(c.stages[1].train.size() == 1);
  CHECK(c.stages[1].train[0].match == "x=y");
  CHECK(c.stages[0].optimizer.betas == std::vector<double>{0, 0.5});
}

TEST_CASE("null removes an optional block, and takes any other value back to its default",
          "[config]") {
  const auto model = [](const std::vector<std::string>& overrides) {
    return std::dynamic_pointer_cast<TwoTower>(load_text(small(), overrides).config.model.settings);
  };
  CHECK(model({})->projection);
  CHECK_FALSE(model({"model.projection=null"})->projection);
  CHECK(model({"model.projection=null", "model.projection.width=5"})->projection_width == 5);
  const RunConfig c =
      load_text(two_stages(), {"stages.second.optimizer=null", "seed=", "stages.second.train=~"})
          .config;
  CHECK(c.stages[1].optimizer.lr == OptimizerConfig().lr);
  CHECK(c.seed == 0);
  CHECK(c.stages[1].train.size() == 1);
  CHECK(report_of(small(), {"model=null", "stages.0.losses=null"}) ==
        "run.yaml:1:1: missing model\nrun.yaml:8:5: missing stages.first.losses");
}

TEST_CASE("an override's relative path starts at the current folder", "[config]") {
  const RunConfig c = load_text(small(), {"model.pretrained=.", "model.vocabulary=null"}).config;
  CHECK(c.model.pretrained == std::filesystem::current_path().string());
}

TEST_CASE("a path that does not exist is refused with the nearest one", "[config]") {
  CHECK(report_of(two_stages(), {"stages.secnd.optimizer.lr=1"}) ==
        "override: stages.secnd.optimizer.lr=1: stages has no 'secnd'; did you mean "
        "stages.second?");
  CHECK(report_of(two_stages(), {"stages.2.optimizer.lr=1"}) ==
        "override: stages.2.optimizer.lr=1: stages has no '2': 2 there, by position from 0 or by "
        "name");
  CHECK(report_of(two_stages(), {"stages.second.optimiser.lr=1"}) ==
        "override: stages.second.optimiser.lr=1: unknown key 'stages.second.optimiser'; did you "
        "mean stages.second.optimizer?");
  CHECK(report_of(two_stages(), {"lr=1"}) ==
        "override: lr=1: unknown key 'lr'; did you mean stages.N.optimizer.lr?");
  CHECK(report_of(two_stages(), {"seed.x=1"}) ==
        "override: seed.x=1: seed is a single value: it has no 'x'");
  CHECK(
      report_of(two_stages(), {"stages.second.train.5.lr=1"}) ==
      "override: stages.second.train.5.lr=1: stages.second.train has no '5': 2 there, by position "
      "from 0");
}

TEST_CASE("what is no override is refused", "[config]") {
  const auto refused = [](const std::string& text) { return report_of(small(), {text}); };
  CHECK(refused("seed") == "override: seed: expected dotted.key=value");
  CHECK(refused("=1") == "override: =1: expected dotted.key=value");
  CHECK(refused("a..b=1") == "override: a..b=1: expected dotted.key=value");
  CHECK(refused("seed=[1") ==
        "override: seed=[1: expected a key; got a list; is each bracket closed?");
  CHECK(refused("seed='1").find("override: seed='1: not YAML: ") == 0);
  CHECK(refused("seed=1\n--- 2") == "override: seed=1\\n--- 2: expected one document; got two");
  CHECK(refused("seed=x") == "override: seed=x: seed: expected a whole number; got 'x'");
  std::string deep = "a";
  for (int i = 0; i < 100000; ++i) deep += ".a";
  CHECK(refused(deep + "=1").find("nested too deeply") != std::string::npos);
}

}  // namespace tandem::config
