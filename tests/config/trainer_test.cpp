// The settings of averages, adapters, schedules, early stopping and what is kept.

#include <catch2/catch.hpp>

#include "support.h"

namespace tandem::config {
namespace {

const std::string measured = "eval: {every: 2, tasks: [retrieval]}\n";

RunConfig with(const std::string& top, const std::string& stage = "") {
  return load_text("model: {family: two_tower}\ndata: {sources: {a: {format: drawn}}}\n" + top +
                   "stages:\n  - {name: s, losses: {itc: 1}, until: {steps: 9}" +
                   (stage.empty() ? "" : ", " + stage) + "}\n")
      .config;
}

std::string problem(const std::string& top, const std::string& stage = "") {
  try {
    with(top, stage);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a number alone is how many checkpoints stay, and a map can also keep the best",
          "[config]") {
  CHECK(with("checkpoint: {keep: 7}\n").checkpoint.keep == 7);
  CHECK(with("checkpoint: {keep: {last: 2}}\n").checkpoint.keep == 2);
  const CheckpointConfig best =
      with(measured + "checkpoint: {keep: {best: eval.retrieval.mean}, async: true}\n").checkpoint;
  CHECK(best.keep == 3);
  CHECK(best.best == "eval.retrieval.mean");
  CHECK(best.async);
  CHECK_THAT(problem("checkpoint: {keep: 0}\n"), Catch::Contains("checkpoint.keep: expected"));
  CHECK_THAT(problem("checkpoint: {keep: {lst: 1}}\n"),
             Catch::Contains("unknown key 'checkpoint.keep.lst'; did you mean last?"));
  CHECK_THAT(problem("checkpoint: {keep: {best: eval.retrieval.mean}}\n"),
             Catch::Contains("checkpoint.keep.best: needs eval.tasks"));
  CHECK_THAT(problem(measured + "checkpoint: {keep: {best: eval.hard.x}}\n"),
             Catch::Contains("eval.retrieval.*") && Catch::Contains("'eval.hard.x'"));
}

TEST_CASE("what is kept stands in the resolved config so that it reads back the same", "[config]") {
  for (const char* keep : {"keep: 5", "keep: {last: 4, best: eval.retrieval.mean, mode: min}"}) {
    const std::string text =
        "model: {family: two_tower}\ndata: {sources: {a: {format: drawn}}}\n" + measured +
        "checkpoint: {" + keep +
        "}\nema: {decay: 0.9}\nstages:\n  - {name: s, losses: {itc: 1}, until: "
        "{steps: 9}, stop: {metric: eval.retrieval.mean}, train: [{match: a, "
        "lr_decay: 0.5, lora: {rank: 2, alpha: 3}}]}\n";
    const Loaded once = load_text(text), twice = load_text(once.resolved);
    CHECK(once.resolved == twice.resolved);
    CHECK(twice.config.checkpoint.keep == once.config.checkpoint.keep);
    CHECK(twice.config.checkpoint.best == once.config.checkpoint.best);
    CHECK(twice.config.ema.decay == 0.9);
    CHECK(twice.config.stages[0].stop.metric == "eval.retrieval.mean");
    CHECK(twice.config.stages[0].train == once.config.stages[0].train);
    CHECK(twice.config.stages[0].train[0].lora.alpha == 3);
  }
}

TEST_CASE("a stage's average is its own where it states one, else the run's", "[config]") {
  RunConfig config = with("ema: {decay: 0.9}\n");
  CHECK(ema_of(config, config.stages[0]).decay == 0.9);
  config = with("ema: {decay: 0.9}\n", "ema: {decay: 0}");
  CHECK(ema_of(config, config.stages[0]).decay == 0);
  config = with("", "ema: {decay: 0.5, warmup: true}");
  CHECK(ema_of(config, config.stages[0]).decay == 0.5);
  CHECK(ema_of(with(""), with("").stages[0]).decay == 0);
  CHECK_THAT(problem("ema: {decay: 2}\n"), Catch::Contains("ema.decay: expected at least 0"));
  CHECK_THAT(problem("ema: {}\n"), Catch::Contains("missing ema.decay"));
}

TEST_CASE("a schedule states what it needs and no more", "[config]") {
  CHECK(problem("", "optimizer: {schedule: step, milestones: [3, 6]}") == "no error");
  CHECK(problem("", "optimizer: {schedule: step, step_size: 3 steps}") == "no error");
  CHECK_THAT(problem("", "optimizer: {schedule: step}"), Catch::Contains("needs either"));
  CHECK_THAT(problem("", "optimizer: {schedule: step, step_size: 3, milestones: [1]}"),
             Catch::Contains("needs either"));
  CHECK_THAT(problem("", "optimizer: {milestones: [3]}"),
             Catch::Contains("milestones: only with `schedule: step`"));
  CHECK_THAT(problem("", "optimizer: {schedule: step, milestones: [6, 3]}"),
             Catch::Contains("rising"));
}

TEST_CASE("adapters need a rank, and early stopping a metric that is measured", "[config]") {
  CHECK_THAT(problem("", "train: [{match: a, lora: {alpha: 1}}]"),
             Catch::Contains("missing stages.s.train.0.lora.rank"));
  CHECK_THAT(problem("", "train: [{match: a, freeze: true, lora: {rank: 1}}]"),
             Catch::Contains("freeze"));
  CHECK_THAT(problem("", "stop: {metric: eval.retrieval.mean}"),
             Catch::Contains("stages.s.stop.metric: needs eval.tasks"));
  CHECK_THAT(problem(measured, "stop: {patience: 2}"),
             Catch::Contains("missing stages.s.stop.metric"));
  CHECK_THAT(problem(measured, "stop: {metric: ema.eval.retrieval.mean}"),
             Catch::Contains("expected a metric"));
  CHECK(problem(measured + "ema: {decay: 0.9}\n", "stop: {metric: ema.eval.retrieval.mean}") ==
        "no error");
}

TEST_CASE("losses are known by their name, and a mode says otherwise", "[config]") {
  CHECK(less_is_better("eval.loss.total", "auto"));
  CHECK_FALSE(less_is_better("eval.retrieval.mean", "auto"));
  CHECK(less_is_better("eval.retrieval.mean", "min"));
  CHECK_FALSE(less_is_better("eval.loss.total", "max"));
}

TEST_CASE("a budget of tokens stands instead of the number of samples at once", "[config]") {
  CHECK(with("", "data: {batch: 8}").stages[0].data.max_tokens == 0);
  CHECK(with("", "data: {batch: 8, max_tokens: 8192}").stages[0].data.max_tokens == 8192);
  CHECK_THAT(problem("", "data: {batch: 8, max_tokens: 64, micro_batch: 2}"),
             Catch::Contains("max_tokens: expected it without micro_batch"));
  CHECK_THAT(problem("", "data: {batch: 8, max_tokens: 64, group: 2}"),
             Catch::Contains("max_tokens: expected it without group"));
  CHECK_THAT(problem("", "data: {batch: 8, max_tokens: 3}"), Catch::Contains("max_tokens"));
}

}  // namespace tandem::config
