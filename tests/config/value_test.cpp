#include <catch2/catch.hpp>

#include "config/number.h"
#include "support.h"

namespace tandem::config {
namespace {

std::string refused(const std::string& line) {
  const std::string report = report_of(small() + line + "\n");
  return report.substr(report.find(": ") + 2);
}

std::string refused_in_stage(const std::string& line) { return refused("    " + line); }

}  // namespace

TEST_CASE("whole numbers are digits, with a unit of their kind", "[config]") {
  CHECK(parse_integer("12", Unit::none) == 12);
  CHECK(parse_integer("-3", Unit::none) == -3);
  CHECK(parse_integer("+3", Unit::none) == 3);
  CHECK(parse_integer("1e6", Unit::none) == 1000000);
  CHECK(parse_integer("9223372036854775807", Unit::none) == INT64_MAX);
  CHECK(parse_integer("2000 steps", Unit::steps) == 2000);
  CHECK(parse_integer("1 step", Unit::steps) == 1);
  CHECK(parse_integer("2 epochs", Unit::epochs) == 2);
  CHECK(parse_integer("5 samples", Unit::samples) == 5);
  CHECK(parse_integer("64 MiB", Unit::bytes) == 64 << 20);
  CHECK(parse_integer("64MiB", Unit::bytes) == 64 << 20);
  CHECK(parse_integer("1.5 KiB", Unit::bytes) == 1536);
  CHECK(parse_integer("2 GB", Unit::bytes) == 2000000000);
  for (const char* bad : {"", "x", "1.5", "1e", "1e-1", "0x10", "1_000", "inf", "nan", "--1", "+-1",
                          "9223372036854775808", "1e400", "5 steps", "steps", "1 2", "1e300"}) {
    INFO(bad);
    CHECK_FALSE(parse_integer(bad, Unit::none));
  }
  CHECK_FALSE(parse_integer("2 epochs", Unit::steps));
  CHECK_FALSE(parse_integer("2 mib", Unit::bytes));
  CHECK_FALSE(parse_integer("0.3 B", Unit::bytes));
}

TEST_CASE("numbers read back from their shortest text as the same value", "[config]") {
  CHECK(parse_double("1e-4", Unit::none) == 1e-4);
  CHECK(parse_double(".5", Unit::none) == 0.5);
  CHECK(parse_double("1.5 h", Unit::seconds) == 5400);
  CHECK(shortest(0.1) == "0.1");
  CHECK(shortest(5e-4) == "5e-4");
  CHECK(shortest(1e6) == "1e6");
  CHECK(shortest(3) == "3");
  for (const double value : {1e-300, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1.0 / 3, -2.5e-7,
                             123456789.123, 1e22, 0.0}) {
    CHECK(parse_double(shortest(value), Unit::none) == value);
  }
}

TEST_CASE("a value of the wrong type says what was expected and got", "[config]") {
  CHECK(refused("threads: [1]") == "threads: expected a whole number; got a list");
  CHECK(refused("threads:") == "threads: expected a whole number; got nothing");
  CHECK(refused("threads: \"1\"") == "threads: expected a whole number; got the text '1'");
  CHECK(refused("device: {a: 1}") == "device: expected text; got a map");
  CHECK(refused("recompute: True") ==
        "recompute: expected true or false; got 'True'; did you mean true?");
  CHECK(refused("recompute: 2") == "recompute: expected true or false; got '2'");
  CHECK(refused("eval: 3") == "eval: expected a map; got '3'");
  CHECK(refused("eval: {tasks: retrieval}") == "eval.tasks: expected a list; got 'retrieval'");
  CHECK(refused("eval: {tasks: [[a]]}") == "eval.tasks.0: expected a map; got a list");
  CHECK(refused("eval: {tasks: [~]}") == "eval.tasks.0: expected text; got nothing");
  CHECK(refused("eval: {tasks: [{task: hard, source: pair}]}") ==
        "eval.tasks.0.source: no source 'pair' in data.sources; did you mean pairs?");
  CHECK(refused("eval: {tasks: [{size: 3}]}") == "missing eval.tasks.0.task");
  CHECK(refused_in_stage("optimizer: {betas: 0.9}") ==
        "stages.first.optimizer.betas: expected a list; got '0.9'");
  CHECK(refused_in_stage("optimizer: {lr: .inf}") ==
        "stages.first.optimizer.lr: expected a number; got '.inf'");
  CHECK(refused("  - 5") == "stages.1: expected a map; got '5'");
  CHECK(refused("  -") == "stages.1: expected a map; got nothing");
}

TEST_CASE("values out of their range are refused", "[config]") {
  CHECK(refused("threads: -1") == "threads: expected at least 0 and at most 4096; got '-1'");
  CHECK(refused("loader: {memory: 1 KiB}") ==
        "loader.memory: expected at least 1048576; got '1 KiB'");
  CHECK(refused("checkpoint: {keep: 0}") ==
        "checkpoint.keep: expected at least 1 and at most 1e6; got '0'");
  CHECK(refused_in_stage("optimizer: {warmup: -1}") ==
        "stages.first.optimizer.warmup: expected at least 0; got '-1'");
  CHECK(refused_in_stage("optimizer: {warmup: 2 epochs}") ==
        "stages.first.optimizer.warmup: expected a whole number of steps; got '2 epochs'");
  CHECK(refused_in_stage("data: {batch: 0}") ==
        "stages.first.data.batch: expected at least 1; got '0'");
  CHECK(refused_in_stage("optimizer: {betas: [0.9]}") ==
        "stages.first.optimizer.betas: expected two numbers, at least 0 and below 1");
  CHECK(refused_in_stage("kind: jobs") ==
        "stages.first.kind: expected train or job; got 'jobs'; did you mean job?");
}

TEST_CASE("rules on parameters are checked", "[config]") {
  CHECK(refused_in_stage("train: [{lr: 1}]") == "missing stages.first.train.0.match");
  CHECK(refused_in_stage("train: [\"\"]") ==
        "stages.first.train.0: expected text, not empty; got the text ''");
  CHECK(refused_in_stage("train: [" + std::string(1001, 'a') + "]") ==
        "stages.first.train.0.match: expected a pattern of at most 1000 characters");
  CHECK(refused_in_stage("train: [\"/a\"]") ==
        "stages.first.train.0.match: expected /a regular expression/; got '/a'");
  CHECK(refused_in_stage("train: [/(/]") ==
        "stages.first.train.0.match: not a regular expression: '/(/'");
  CHECK(refused_in_stage("train: [{match: a, freeze: true, lr: 1}]") ==
        "stages.first.train.0.freeze: a frozen parameter has no lr, lr_scale, lr_decay, "
        "weight_decay or lora");
  CHECK(refused_in_stage("train: [{match: a, weight_decay: -2}]") ==
        "stages.first.train.0.weight_decay: expected at least 0; got '-2'");
}

TEST_CASE("what needs more than one field is checked", "[config]") {
  const std::string two = "data: {sources: {a: {format: drawn}, b: {format: drawn}}}\n";
  const auto stage = [&](const std::string& text) {
    const std::string report =
        report_of("model: {family: two_tower}\n" + two +
                  "stages:\n  - {name: s, losses: {itc: 1}, " + text + "}\n");
    return report == "no error" ? report : report.substr(report.find(": ") + 2);
  };
  CHECK(stage("data: {mix: proportional}, until: {epochs: 1}") == "no error");
  CHECK(stage("data: {mix: {a: 1}}, until: {epochs: 1}") == "no error");
  CHECK(stage("data: {mix: {a: 1, b: 1}}, until: {steps: 1}") == "no error");
  CHECK(stage("data: {mix: {a: 1, b: 1}}, until: {epochs: 1}") ==
        "stages.s.until: epochs need one source or `mix: proportional`; use steps or samples");
  CHECK(stage("data: {mix: {temperature: 2}}, until: {steps: 1}") == "no error");
  CHECK(stage("data: {mix: {a: 1, b: 3, temperature: 2}}, until: {steps: 1}") == "no error");
  CHECK(stage("data: {mix: {a: 1, temperature: 0}}, until: {steps: 1}") ==
        "stages.s.data.mix.temperature: expected above 0; got '0'");
  CHECK(stage("data: {mix: {temperature: 2}}, until: {epochs: 1}") ==
        "stages.s.until: epochs need one source or `mix: proportional`; use steps or samples");
  CHECK(stage("data: {mix: {a: 1, b: 1}}, until: {}") ==
        "stages.s.until: expected exactly one of steps, epochs and samples; got none");
  CHECK(stage("data: {mix: {a: 1, b: 1}}, until: ") == "missing stages.s.until");
  CHECK(stage("data: {mix: {a: 0, b: 1}}, until: {steps: 1}") ==
        "stages.s.data.mix.a: expected above 0; got '0'");
  CHECK(stage("data: {mix: even}, until: {steps: 1}") ==
        "stages.s.data.mix: expected proportional or a map of sources to shares; got 'even'");
  CHECK(refused("model2: 1") == "unknown key 'model2'; did you mean model?");
  CHECK(report_of(small(), {"model.tokenizer=."}) ==
        "run.yaml:3:40: model.vocabulary: expected either a tokenizer or a vocabulary to train; "
        "got both");
}

TEST_CASE("names that become folders or parts of an override are checked", "[config]") {
  for (const char* bad : {"\"\"", ".hidden", "a/b", "..", "a b", "-x", "\"a\\nb\"", "ä"}) {
    INFO(bad);
    CHECK(report_of(small(), {std::string("name=") + bad}).find("name: expected letters") !=
          std::string::npos);
  }
  CHECK(report_of(small(), {"stages.0.name=a.b"}) ==
        "override: stages.0.name=a.b: stages.a.b.name: expected letters, digits, `_` and `-`");
  CHECK(report_of(small(), {"stages.0.name=''"}) ==
        "override: stages.0.name='': stages.0.name: expected text, not empty; got the text ''");
  CHECK(report_of(small() + "  - {losses: {a: 1}, until: {steps: 1}}\n") ==
        "run.yaml:11:5: missing stages.1.name");
  CHECK(report_of("model: {family: two_tower}\ndata: {sources: {a b: {format: drawn}}}\n"
                  "stages: [{name: s, losses: {x: 1}, until: {steps: 1}}]\n") ==
        "run.yaml:2:18: data.sources.a b: expected a name of letters, digits, `_` and `-`");
}

TEST_CASE("an unknown kind is one mistake, its keys are none", "[config]") {
  CHECK(report_of("model: {family: two_towr, width: 3}\ndata: {sources: {a: {format: x, y: 1}}}\n"
                  "stages: [{name: s, losses: {x: 1}, until: {steps: 1}}]\n") ==
        "run.yaml:1:17: model.family: expected two_tower or one_tower; got 'two_towr'; did you "
        "mean two_tower?\n"
        "run.yaml:2:30: data.sources.a.format: expected files or drawn; got 'x'");
  CHECK(report_of("model: {vision: {width: 3}}\ndata: {sources: {a: drawn}}\n"
                  "stages: []\n") ==
        "run.yaml:1:8: missing model.family\n"
        "run.yaml:2:21: data.sources.a: expected a map; got 'drawn'\n"
        "run.yaml:3:9: stages: expected at least one");
}

}  // namespace tandem::config
