#include <catch2/catch.hpp>

#include "config/writer.h"
#include "support.h"

namespace tandem::config {
namespace {

std::string rich(const Folder& folder) {
  folder.write("pictures/x.txt", "");
  return R"(
name: rich
model: {family: two_tower, vocabulary: 300, vision: {width: 48, grid: [14, 14]}, projection: null}
data:
  sources:
    pairs: {format: files, path: pictures, endings: ["a b", "no", "1e3", ""], timeout: 0.1}
    world: {format: drawn, size: 12}
stages:
  - name: one
    train: ["*.weight", {match: "/a\\.b/", lr: 1e-5, lr_scale: 0.3333333333333333}, {match: z, freeze: true}]
    losses: {itc: 0.1, "odd: \"loss\" \u00e9\x01\t": 3e-12}
    data: {mix: {world: 2, pairs: 0.7, temperature: 3}, micro_batch: 3}
    until: {samples: 9007199254740993}
  - {name: two, train: none, losses: {lm: 1}, data: {mix: proportional}, until: {epochs: 3}}
eval: {every: 5, tasks: [hard, {task: retrieval, source: world}]}
)";
}

}  // namespace

TEST_CASE("the resolved text reads back as an equal config", "[config]") {
  Folder folder;
  const Loaded first = load(folder.write("run.yaml", rich(folder)), {}, tables());
  // From elsewhere: paths in it are absolute.
  const Loaded again = load(folder.write("far/away/again.yaml", first.resolved), {}, tables());
  CHECK(again.resolved == first.resolved);
  CHECK(again.config.name == "rich");
  const auto& pairs = dynamic_cast<const FilesFormat&>(*again.config.sources[0].settings);
  CHECK(pairs.path == folder.str() + "/pictures");
  CHECK(pairs.endings == std::vector<std::string>{"a b", "no", "1e3", ""});
  CHECK(pairs.timeout == 0.1);
  CHECK_FALSE(dynamic_cast<const TwoTower&>(*again.config.model.settings).projection);
  const StageConfig& a = first.config.stages[0];
  const StageConfig& b = again.config.stages[0];
  REQUIRE(b.train.size() == 3);
  CHECK(b.train[1].match == "/a\\.b/");
  CHECK(b.train[1].lr_scale == a.train[1].lr_scale);
  CHECK(b.train[2].freeze);
  CHECK(a.losses[1].first == "odd: \"loss\" é\x01\t");
  CHECK(b.losses == a.losses);
  CHECK(b.data.mix == a.data.mix);
  CHECK(b.data.temperature == 3);
  CHECK(b.until.samples == 9007199254740993);
  CHECK(again.config.stages[1].train.empty());
  CHECK(again.config.stages[1].data.proportional);
  CHECK(again.config.eval.tasks[1].source == "world");
}

TEST_CASE("the origins are the resolved text with the place of each value", "[config]") {
  Folder folder;
  folder.write("parts/base.yaml", "model: {family: two_tower, vision: {width: 48}}\nthreads: 3\n");
  const auto file = folder.write("run.yaml", R"(include: [parts/base.yaml]
data: {sources: {pairs: {format: drawn}}}
stages:
  - name: one
    train: [a, {match: b, lr: 1}]
    losses:
      itc: 1
    until: {steps: 5}
)");
  const Loaded loaded = load(file, {"stages.one.until.steps=6", "eval.tasks=[hard]"}, tables());
  std::string text = loaded.origins;
  const std::string prefix = folder.str() + "/";
  for (std::size_t at; (at = text.find(prefix)) != std::string::npos;)
    text.erase(at, prefix.size());
  CHECK(text == R"(name: run  # default
seed: 0  # default
model:
  pretrained: ""  # default
  family: two_tower  # parts/base.yaml:1
  vision:
    width: 48  # parts/base.yaml:1
    layers: 2  # default
    grid: [7, 7]  # default
  activation: gelu  # default
  projection:
    width: 32  # default
  tokenizer: ""  # default
data:
  sources:
    pairs:
      format: drawn  # run.yaml:2
      size: 1000  # default
loader:
  threads: 2  # default
  memory: 536870912  # default
stages:
  - name: one  # run.yaml:4
    kind: train  # default
    train:
      - a  # run.yaml:5
      - match: b  # run.yaml:5
        freeze: false  # default
        lr: 1  # run.yaml:5
        lr_scale: 1  # default
    losses:
      itc: 1  # run.yaml:7
    data:
      mix: {}  # default
      batch: 64  # default
      block: 1  # default
    optimizer:
      lr: 5e-4  # default
      betas: [0.9, 0.98]  # default
      eps: 1e-6  # default
      weight_decay: 0.2  # default
      warmup: 0  # default
      schedule: cosine  # default
      min_lr: 0  # default
      clip: 0  # default
    until:
      steps: 6  # override
    itc:
      gather: exact  # default
      chunk: 0  # default
precision: fp32  # default
device: auto  # default
threads: 3  # parts/base.yaml:2
recompute: false  # default
deterministic: false  # default
checkpoint:
  every: 0  # default
  keep: 3  # default
  stages: false  # default
  async: false  # default
eval:
  every: 0  # default
  batch: 64  # default
  tasks:
    - hard  # override
report:
  csv: true  # default
  tensorboard: true  # default
  samples: 8  # default
)");
  // Comments are all that differs.
  Folder other;
  CHECK(load(other.write("x.yaml", loaded.origins), {}, tables()).resolved == loaded.resolved);
}

TEST_CASE("text is written so that YAML reads the same text", "[config]") {
  CHECK(yaml_text("plain/path_1.x-y") == "plain/path_1.x-y");
  CHECK(yaml_text("") == "\"\"");
  CHECK(yaml_text("1e3") == "\"1e3\"");
  CHECK(yaml_text("no") == "\"no\"");
  CHECK(yaml_text("---") == "\"---\"");
  for (const std::string& text :
       {std::string("a: b"), std::string("#x"), std::string("'q' \"d\" \\"), std::string("*"),
        std::string("a\r\nb\n"), std::string("\x7f\x1b[0m"), std::string(" lead and trail "),
        std::string("~"), std::string("null"), std::string("..."),
        std::string("\xc2\x85\xe2\x80\xa8"), std::string("\xef\xbb\xbf") + "mark",
        std::string("😀 [x] {y}, &a !b %c @d `e |f >g ?h")}) {
    INFO(text);
    Folder folder;
    const RunConfig c =
        load_text(small() + "  - name: s\n    losses: {" + yaml_text(text) +
                  ": 1}\n    until: {steps: 1}\n    train: [" + yaml_text(text) + "]\n")
            .config;
    CHECK(c.stages[1].losses[0].first == text);
    CHECK(c.stages[1].train[0].match == text);
  }
}

}  // namespace tandem::config
