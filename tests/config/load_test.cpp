#include <catch2/catch.hpp>

#include "support.h"

namespace tandem::config {

TEST_CASE("the example of the design is read into the structs", "[config]") {
  Folder folder;
  folder.write("pictures/a.txt", "");
  const auto file = folder.write("runs/big.yaml", R"(
seed: 7
model: {family: two_tower, tokenizer: ../pictures/a.txt, vision: {width: 128}, activation: quick_gelu}
data:
  sources:
    pairs: {format: files, path: ../pictures, timeout: 2 min}
    world: {format: drawn, size: 1e5}
loader: {threads: 3, memory: 64 MiB}
stages:
  - name: first
    train: ["visual.*", {match: "/text\\.[0-9]+/", lr: 1e-5, lr_scale: 0.5, weight_decay: 0}, {match: "*", freeze: true}]
    losses: {itc: 1, itm: 0.5}
    data: {mix: {pairs: 3, world: 1}, batch: 256, micro_batch: 64, block: 8}
    optimizer: {lr: 1e-4, betas: [0.8, 0.95], eps: 1e-8, weight_decay: 0.05, warmup: 2000 steps,
                schedule: linear, min_lr: 1e-5, clip: 1.0}
    until: {steps: 250000}
    itc: {gather: released, chunk: 1024}
  - name: second
    train: none
    losses: {lm: 1}
    data: {mix: proportional}
    until: {epochs: 2 epochs}
precision: bf16
device: cpu
threads: 4
recompute: true
deterministic: true
checkpoint: {every: 1000 steps, keep: 5}
eval: {every: 500 steps, batch: 32, tasks: [retrieval, {task: hard, source: world, size: 50}]}
)");
  const RunConfig c = load(file, {}, tables()).config;

  CHECK(c.name == "big");
  CHECK(c.seed == 7);
  CHECK(c.model.family == "two_tower");
  CHECK(c.model.tokenizer == folder.str() + "/pictures/a.txt");
  const auto& model = dynamic_cast<const TwoTower&>(*c.model.settings);
  CHECK(model.width == 128);
  CHECK(model.layers == 2);
  CHECK(model.activation == "quick_gelu");
  REQUIRE(c.sources.size() == 2);
  CHECK(c.sources[0].name == "pairs");
  const auto& pairs = dynamic_cast<const FilesFormat&>(*c.sources[0].settings);
  CHECK(pairs.path == folder.str() + "/pictures");
  CHECK(pairs.timeout == 120);
  CHECK(dynamic_cast<const DrawnFormat&>(*c.sources[1].settings).size == 100000);
  CHECK(c.loader.threads == 3);
  CHECK(c.loader.memory == std::int64_t{64} << 20);

  REQUIRE(c.stages.size() == 2);
  const StageConfig& first = c.stages[0];
  CHECK(first.kind == "train");
  REQUIRE(first.train.size() == 3);
  CHECK(first.train[0].match == "visual.*");
  CHECK(first.train[0].lr == 0);
  CHECK(first.train[0].weight_decay < 0);
  CHECK(first.train[1].match == "/text\\.[0-9]+/");
  CHECK(first.train[1].lr == 1e-5);
  CHECK(first.train[1].lr_scale == 0.5);
  CHECK(first.train[1].weight_decay == 0);
  CHECK(first.train[2].freeze);
  CHECK(first.losses == std::vector<std::pair<std::string, double>>{{"itc", 1}, {"itm", 0.5}});
  CHECK(first.data.mix == std::vector<std::pair<std::string, double>>{{"pairs", 3}, {"world", 1}});
  CHECK(first.data.batch == 256);
  CHECK(first.data.micro_batch == 64);
  CHECK(first.data.block == 8);
  CHECK(first.optimizer.lr == 1e-4);
  CHECK(first.optimizer.betas == std::vector<double>{0.8, 0.95});
  CHECK(first.optimizer.eps == 1e-8);
  CHECK(first.optimizer.weight_decay == 0.05);
  CHECK(first.optimizer.warmup == 2000);
  CHECK(first.optimizer.schedule == "linear");
  CHECK(first.optimizer.min_lr == 1e-5);
  CHECK(first.optimizer.clip == 1);
  CHECK(first.until.steps == 250000);
  CHECK(first.itc.gather == "released");
  CHECK(first.itc.chunk == 1024);
  const StageConfig& second = c.stages[1];
  CHECK(second.train.empty());
  CHECK(second.data.proportional);
  CHECK(second.data.mix.empty());
  CHECK(second.until.epochs == 2);
  CHECK(second.until.steps == 0);

  CHECK(c.precision == "bf16");
  CHECK(c.device == "cpu");
  CHECK(c.threads == 4);
  CHECK(c.recompute);
  CHECK(c.deterministic);
  CHECK(c.checkpoint.every == 1000);
  CHECK(c.checkpoint.keep == 5);
  CHECK(c.eval.every == 500);
  CHECK(c.eval.batch == 32);
  REQUIRE(c.eval.tasks.size() == 2);
  CHECK(c.eval.tasks[0].task == "retrieval");
  CHECK(c.eval.tasks[0].source.empty());
  CHECK(c.eval.tasks[0].size == 500);
  CHECK(c.eval.tasks[1].task == "hard");
  CHECK(c.eval.tasks[1].source == "world");
  CHECK(c.eval.tasks[1].size == 50);
}

TEST_CASE("what a small config leaves out has the structs' defaults", "[config]") {
  const RunConfig c = load_text(small()).config;
  const StageConfig plain;
  REQUIRE(c.stages.size() == 1);
  CHECK(c.stages[0].optimizer.lr == plain.optimizer.lr);
  CHECK(c.stages[0].data.batch == plain.data.batch);
  CHECK(c.stages[0].data.micro_batch == 0);
  REQUIRE(c.stages[0].train.size() == 1);
  CHECK(c.stages[0].train[0].match == "*");
  CHECK(c.precision == "fp32");
  CHECK(c.checkpoint.keep == 3);
  CHECK(c.eval.tasks.empty());
}

TEST_CASE("a run without a name is called after its file, as a folder may be called", "[config]") {
  Folder folder;
  const std::string text = small().substr(small().find('\n') + 1);
  CHECK(load(folder.write("clip.small-2.yaml", text), {}, tables()).config.name == "clip.small-2");
  CHECK(load(folder.write("my run (1).yaml", text), {}, tables()).config.name == "my_run__1_");
  CHECK(load(folder.write("-x.yaml", text), {}, tables()).config.name == "_x");
}

TEST_CASE("line ends of Windows and a mark at the start change nothing", "[config]") {
  std::string text = "\xef\xbb\xbf";
  for (const char c : small()) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  CHECK(load_text(text).resolved == load_text(small()).resolved);
}

TEST_CASE("train is all, none, or a list of patterns and maps", "[config]") {
  const auto rules = [](const std::string& text) {
    return load_text(small() + "    train: " + text + "\n").config.stages[0].train;
  };
  REQUIRE(rules("all").size() == 1);
  CHECK(rules("all")[0].match == "*");
  CHECK(rules("none").empty());
  CHECK(rules("[]").empty());
  CHECK(rules("[a.*, {match: b}]")[1].match == "b");
}

TEST_CASE("a config over a base states what differs, or nothing at all", "[config]") {
  Folder folder;
  const Base base{small() + "eval: {batch: 8}\n", "the run", folder.path()};
  const Loaded alone = load_over(base, "", {"eval.tasks=[hard]"}, tables());
  CHECK(alone.config.name == "pairs");
  CHECK(alone.config.eval.tasks[0].task == "hard");
  const auto file = folder.write("other.yaml", R"(name: other
data: {sources: {more: {format: drawn, size: 5}}}
stages: [{name: first, data: {mix: proportional}}]
eval: {tasks: [{task: retrieval, source: more}]})");
  const RunConfig c = load_over(base, file, {}, tables()).config;
  CHECK(c.name == "other");
  CHECK(c.sources.size() == 2);
  CHECK(c.eval.batch == 8);
  CHECK(c.eval.tasks[0].source == "more");
  CHECK_THROWS_WITH(load_over({"a: [", "the run", {}}, "", {}, tables()),
                    Catch::Contains("the run:1"));
  CHECK_THROWS_WITH(load_over(base, folder.path() / "nowhere.yaml", {}, tables()),
                    Catch::Contains("nowhere.yaml:1:1: no such file"));
}

}  // namespace tandem::config
