#include "tandem/train/rules.h"

#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>

#include "tandem/base/error.h"

namespace rules_test {

using namespace tandem;
using namespace tandem::train;

namespace {

NamedTensors parameters() {
  return {{"vision.layers.0.weight", at::zeros({4, 4})},
          {"vision.layers.0.bias", at::zeros({4})},
          {"text.layers.0.weight", at::zeros({4, 4})},
          {"logit_scale", at::zeros({})}};
}

config::StageConfig stage(std::vector<config::TrainRule> rules) {
  config::StageConfig stage;
  stage.name = "s";
  stage.train = std::move(rules);
  stage.optimizer.lr = 1e-3;
  stage.optimizer.weight_decay = 0.1;
  return stage;
}

}  // namespace

TEST_CASE("a glob's star crosses dots and a regular expression is found anywhere") {
  CHECK(matches("vision.*", "vision.layers.0.weight"));
  CHECK(matches("*.bias", "vision.layers.0.bias"));
  CHECK(matches("*l*ers.?.w*t", "vision.layers.0.weight"));
  CHECK_FALSE(matches("vision", "vision.layers.0.weight"));
  CHECK_FALSE(matches("*.weigh", "vision.layers.0.weight"));
  CHECK(matches("/layers\\.[0-9]+/", "vision.layers.0.bias"));
  CHECK_FALSE(matches("/^layers/", "vision.layers.0.bias"));
  CHECK_THROWS_WITH(matches("/(/", "x"), Catch::Contains("regular expression"));
}

TEST_CASE("a glob of many stars does not take exponential time") {
  CHECK_FALSE(matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST_CASE("the first rule that matches decides and the rest is frozen") {
  const auto resolved =
      resolve_rules(stage({{.match = "*.bias", .freeze = true},
                           {.match = "vision.*", .lr_scale = 0.5},
                           {.match = "logit_scale", .lr = 2e-3, .weight_decay = 0.3}}),
                    parameters());
  CHECK(resolved[0].trained);
  CHECK(resolved[0].lr_scale == 0.5);
  CHECK(resolved[0].weight_decay == 0.1);
  CHECK_FALSE(resolved[1].trained);
  CHECK(resolved[1].rule == 0);
  CHECK_FALSE(resolved[2].trained);
  CHECK(resolved[2].rule == -1);
  CHECK(resolved[3].lr_scale == Approx(2.0));
  CHECK(resolved[3].weight_decay == 0.3);
}

TEST_CASE("weight decay skips tensors of fewer than two dimensions") {
  const auto resolved = resolve_rules(stage({{.match = "*"}}), parameters());
  CHECK(resolved[0].weight_decay == 0.1);
  CHECK(resolved[1].weight_decay == 0);
  CHECK(resolved[3].weight_decay == 0);
}

TEST_CASE("a rule that catches nothing is an error that names it") {
  CHECK_THROWS_WITH(
      resolve_rules(stage({{.match = "vision.*"}, {.match = "qformer.*"}}), parameters()),
      Catch::Contains("'qformer.*'") && !Catch::Contains("'vision.*'"));
}

TEST_CASE("the table counts tensors and elements of each rule and of what none caught") {
  const auto s = stage({{.match = "vision.*"}});
  const std::string table = rules_table(s, resolve_rules(s, parameters()));
  CHECK_THAT(table, Catch::Contains("trained  vision.*: 2 tensors, 20 parameters"));
  CHECK_THAT(table, Catch::Contains("frozen   (no rule): 2 tensors, 17 parameters"));
  CHECK_THAT(table, Catch::Contains("in all: 20 trained, 17 frozen"));
}

TEST_CASE("layer-wise decay multiplies the learning rate by the depth") {
  const NamedTensors tower{{"embed.weight", at::zeros({4, 4})},
                           {"blocks.0.weight", at::zeros({4, 4})},
                           {"blocks.1.weight", at::zeros({4, 4})},
                           {"head.weight", at::zeros({4, 4})}};
  const auto resolved =
      resolve_rules(stage({{.match = "*", .lr_scale = 2, .lr_decay = 0.5}}), tower);
  CHECK(resolved[0].lr_scale == Approx(2 * 0.125));
  CHECK(resolved[1].lr_scale == Approx(2 * 0.25));
  CHECK(resolved[2].lr_scale == Approx(2 * 0.5));
  CHECK(resolved[3].lr_scale == Approx(2));
}

TEST_CASE("a rule with adapters freezes what it catches and trains the adapters") {
  NamedTensors all = parameters();
  all.emplace_back("vision.layers.0.lora_A.weight", at::zeros({2, 4}));
  all.emplace_back("vision.layers.0.lora_B.weight", at::zeros({4, 2}));
  config::TrainRule rule{.match = "vision.*", .lr_scale = 3};
  rule.lora.rank = 2;
  const auto s = stage({rule, {.match = "logit_scale"}});
  const auto resolved = resolve_rules(s, all);
  CHECK_FALSE(resolved[0].trained);
  CHECK_FALSE(resolved[1].trained);
  CHECK_FALSE(resolved[2].trained);
  CHECK(resolved[3].trained);
  for (const std::size_t i : {4, 5}) {
    CHECK(resolved[i].trained);
    CHECK(resolved[i].lr_scale == 3);
    CHECK(resolved[i].weight_decay == 0.1);
  }
  CHECK_THAT(rules_table(s, resolved),
             Catch::Contains("vision.* as adapters of rank 2: 2 tensors, 16 parameters; frozen 2 "
                             "tensors, 20 parameters"));
}

TEST_CASE("adapters go to the layers that the first matching rule names, by layer or weight") {
  config::TrainRule rule{.match = "*.q_proj"};
  rule.lora = {.rank = 4, .alpha = 8, .dropout = 0.1};
  config::TrainRule stable{.match = "b.*"};
  stable.lora = {.rank = 4, .alpha = 8, .rank_stabilized = true};
  const std::vector<std::string> layers{"a.q_proj", "a.k_proj", "b.q_proj", "b.v_proj"};
  const auto adapters = adapters_of(stage({rule, stable, {.match = "*"}}), layers);
  REQUIRE(adapters.size() == 3);
  CHECK(adapters[0].layer == "a.q_proj");
  CHECK(adapters[0].rank == 4);
  CHECK(adapters[0].scale == 2);
  CHECK(adapters[0].dropout == 0.1);
  CHECK(adapters[1].layer == "b.q_proj");
  CHECK(adapters[2].layer == "b.v_proj");
  CHECK(adapters[2].scale == 4);
  CHECK(adapters_of(stage({{.match = "*"}}), layers).empty());
  CHECK_THROWS_WITH(adapters_of(stage({{.match = "a.*"}, rule}), {"a.q_proj"}),
                    Catch::Contains("Linear layer") && Catch::Contains("'*.q_proj'"));
}

}  // namespace rules_test
