#include <catch2/catch.hpp>

#include "../support/fifo.h"
#include "support.h"

namespace tandem::config {

TEST_CASE("all mistakes of two stages, an include and an override stand in one report",
          "[config]") {
  Folder folder;
  folder.write("parts/model.yaml", R"(model:
  family: two_tower
  vision: {width: 0, layer: 3}
  activation: gelo
checkpoint: {every: 10 stps}
)");
  folder.write("run.yaml", R"(include: [parts/model.yaml]
data:
  sources:
    pairs: {format: files, path: nowhere}
    world: {format: drwan}
stages:
  - name: first
    losses: {itc: 0}
    data: {mix: {pair: 1, world: x}, batch: 8, micro_batch: 16}
    optimzer: {lr: 1}
  - name: first
    train: al
    losses: {itc: 1}
    lr: 3
    optimizer: {learning_rate: 1, schedule: cosin, min_lr: 1, betas: [0.9, 1]}
    until: {steps: 5, epochs: 2}
precision: fp16
deterministic: yes
)");
  CHECK(report_of(folder, "run.yaml", {"eval.tasks=[retrival]", "modl.family=x"}) ==
        R"(run.yaml:4:34: data.sources.pairs.path: no such file or folder: 'nowhere'
run.yaml:5:21: data.sources.world.format: expected files or drawn; got 'drwan'; did you mean drawn?
run.yaml:7:5: missing stages.first.until
run.yaml:8:19: stages.first.losses.itc: expected above 0; got '0'
run.yaml:9:18: stages.first.data.mix.pair: no source 'pair' in data.sources; did you mean pairs?
run.yaml:9:34: stages.first.data.mix.world: expected a number; got 'x'
run.yaml:9:61: stages.first.data.micro_batch: expected at most batch (8); got 16
run.yaml:10:5: unknown key 'stages.first.optimzer'; did you mean optimizer?
run.yaml:11:5: stages.first.data.mix: expected shares of the sources or `proportional`: there are 2 sources
run.yaml:11:11: stages.first.name: another stage has this name
run.yaml:12:12: stages.first.train: expected all, none or a list of patterns; got 'al'; did you mean all?
run.yaml:14:5: unknown key 'stages.first.lr'; did you mean optimizer.lr?
run.yaml:15:17: unknown key 'stages.first.optimizer.learning_rate'; did you mean lr?
run.yaml:15:45: stages.first.optimizer.schedule: expected cosine, linear, constant, step or polynomial; got 'cosin'; did you mean cosine?
run.yaml:15:60: stages.first.optimizer.min_lr: expected at most lr (5e-4); got 1
run.yaml:15:70: stages.first.optimizer.betas: expected two numbers, at least 0 and below 1
run.yaml:16:12: stages.first.until: expected exactly one of steps, epochs and samples; got 2
run.yaml:17:12: precision: expected fp32 or bf16; got 'fp16'; did you mean fp32?
run.yaml:18:16: deterministic: expected true or false; got 'yes'; did you mean true?
parts/model.yaml:3:19: model.vision.width: expected at least 1 and at most 4096; got '0'
parts/model.yaml:3:22: unknown key 'model.vision.layer'; did you mean layers?
parts/model.yaml:4:15: model.activation: expected gelu or quick_gelu; got 'gelo'; did you mean gelu?
parts/model.yaml:5:21: checkpoint.every: expected a whole number of steps; got '10 stps'; did you mean '10 steps'?
override: eval.tasks=[retrival]: eval.tasks.0: expected retrieval or hard; got 'retrival'; did you mean retrieval?
override: modl.family=x: unknown key 'modl'; did you mean model?)");
}

TEST_CASE("a pipe is neither the file nor the folder that a path asks for", "[config]") {
  const Folder folder;
  const testing::Fifo pipe(folder.path() / "pipe");
  folder.write("run.yaml", R"(model: {family: two_tower}
data: {sources: {pairs: {format: files, path: pipe}}}
stages: [{name: first, losses: {itc: 1}, until: {steps: 10}}]
)");
  CHECK(report_of(folder, "run.yaml") ==
        "run.yaml:2:47: data.sources.pairs.path: expected a file or a folder; got a pipe or a "
        "device: 'pipe'");
}

TEST_CASE("an empty map lacks everything that is required", "[config]") {
  CHECK(report_of("{}") == R"(run.yaml:1:1: missing model
run.yaml:1:1: missing data
run.yaml:1:1: missing stages)");
}

}  // namespace tandem::config
