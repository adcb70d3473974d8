#include <catch2/catch.hpp>

#include "support.h"

namespace tandem::config {
namespace {

RunConfig load_file(const Folder& folder, const std::string& name) {
  return load(folder.path() / name, {}, tables()).config;
}

}  // namespace

TEST_CASE("maps merge, lists and single values are replaced, the file wins over all", "[config]") {
  Folder folder;
  folder.write("one.yaml", R"(
seed: 1
model: {family: two_tower, vocabulary: 10, vision: {width: 8, layers: 3}}
data: {sources: {a: {format: drawn, size: 5}}}
precision: bf16
eval: {every: 7, tasks: [retrieval, hard]}
)");
  folder.write("two.yaml", R"(
seed: 2
model: {vision: {width: 16}}
eval: {batch: 9}
threads: 5
)");
  folder.write("run.yaml", R"(
include: [one.yaml, two.yaml]
model: {vision: {layers: 4}}
data: {sources: {b: {format: drawn}}}
eval: {tasks: [hard]}
threads: 6
stages: [{name: s, losses: {itc: 1}, data: {mix: {a: 1, b: 1}}, until: {steps: 1}}]
)");
  const RunConfig c = load_file(folder, "run.yaml");
  CHECK(c.seed == 2);
  CHECK(c.threads == 6);
  CHECK(c.precision == "bf16");
  CHECK(c.model.vocabulary == 10);
  const auto& model = dynamic_cast<const TwoTower&>(*c.model.settings);
  CHECK(model.width == 16);
  CHECK(model.layers == 4);
  REQUIRE(c.sources.size() == 2);
  CHECK(c.sources[0].name == "a");
  CHECK(c.sources[1].name == "b");
  CHECK(c.eval.every == 7);
  CHECK(c.eval.batch == 9);
  REQUIRE(c.eval.tasks.size() == 1);
  CHECK(c.eval.tasks[0].task == "hard");
}

TEST_CASE("stages merge by name and keep the included order; new ones come last", "[config]") {
  Folder folder;
  folder.write("base.yaml", small() + R"(  - name: second
    losses: {lm: 1, itc: 1}
    train: [a, b]
    until: {steps: 20}
)");
  folder.write("run.yaml", R"(
include: base.yaml
stages:
  - {name: third, losses: {mlm: 1}, until: {steps: 30}}
  - {name: second, losses: {lm: 2}, train: [c], until: {steps: null, epochs: 3}}
)");
  const RunConfig c = load_file(folder, "run.yaml");
  REQUIRE(c.stages.size() == 3);
  CHECK(c.stages[0].name == "first");
  CHECK(c.stages[0].until.steps == 10);
  CHECK(c.stages[1].name == "second");
  CHECK(c.stages[1].losses == std::vector<std::pair<std::string, double>>{{"lm", 2}, {"itc", 1}});
  REQUIRE(c.stages[1].train.size() == 1);
  CHECK(c.stages[1].train[0].match == "c");
  CHECK(c.stages[1].until.steps == 0);
  CHECK(c.stages[1].until.epochs == 3);
  CHECK(c.stages[2].name == "third");
}

TEST_CASE("a stage twice in one file is refused, not merged into the included one", "[config]") {
  Folder folder;
  folder.write("base.yaml", small());
  folder.write("run.yaml", R"(include: base.yaml
stages:
  - {name: first, until: {steps: 3}}
  - {name: first, losses: {lm: 1}, until: {steps: 4}}
)");
  CHECK(report_of(folder, "run.yaml") ==
        "run.yaml:4:12: stages.first.name: another stage has this name");
}

TEST_CASE("relative paths resolve from the file that states them", "[config]") {
  Folder folder;
  folder.write("data/here/x.txt", "");
  folder.write("here/y.txt", "");
  folder.write("data/source.yaml", "data: {sources: {a: {format: files, path: ./here/}}}\n");
  folder.write("run.yaml",
               "include: [data/source.yaml]\n"
               "model: {family: two_tower, tokenizer: here/y.txt}\n"
               "stages: [{name: s, losses: {itc: 1}, until: {steps: 1}}]\n");
  const RunConfig c = load_file(folder, "run.yaml");
  CHECK(dynamic_cast<const FilesFormat&>(*c.sources[0].settings).path ==
        folder.str() + "/data/here");
  CHECK(c.model.tokenizer == folder.str() + "/here/y.txt");
}

TEST_CASE("an included file includes others, from its own folder", "[config]") {
  Folder folder;
  folder.write("a/b/deep.yaml", small());
  folder.write("a/middle.yaml", "include: [b/deep.yaml]\nseed: 8\n");
  folder.write("run.yaml", "include: [a/middle.yaml]\n");
  CHECK(load_file(folder, "run.yaml").seed == 8);
  CHECK(load_file(folder, "run.yaml").model.vocabulary == 500);
}

TEST_CASE("a file may be included twice, but not by itself", "[config]") {
  Folder folder;
  folder.write("base.yaml", small());
  folder.write("run.yaml", "include: [base.yaml, base.yaml]\n");
  CHECK(load_file(folder, "run.yaml").seed == 7);
  folder.write("x/one.yaml", "include: [two.yaml]\n");
  folder.write("x/two.yaml", "include:\n  - ../x/one.yaml\n");
  CHECK(report_of(folder, "x/one.yaml") ==
        "x/two.yaml:2:5: include: 'x/../x/one.yaml' includes itself");
  folder.write("self.yaml", "include: self.yaml\n");
  CHECK(report_of(folder, "self.yaml") == "self.yaml:1:10: include: 'self.yaml' includes itself");
}

TEST_CASE("includes that double at each level are capped", "[config]") {
  Folder folder;
  for (int i = 0; i < 40; ++i) {
    const std::string next = std::to_string(i + 1) + ".yaml";
    folder.write(std::to_string(i) + ".yaml", "include: [" + next + ", " + next + "]\n");
  }
  folder.write("40.yaml", small());
  CHECK(report_of(folder, "0.yaml").find("include: more than 256 files") != std::string::npos);
}

TEST_CASE("includes that cannot be read are all reported where they are stated", "[config]") {
  Folder folder;
  folder.write("folder/x", "");
  folder.write("empty.yaml", "# nothing\n");
  folder.write("broken.yaml", "a: [1\nb: 2\n");
  folder.write("run.yaml", "include: [none.yaml, folder, empty.yaml, broken.yaml, {a: 1}]\n");
  CHECK(report_of(folder, "run.yaml") ==
        R"(run.yaml:1:11: include: 'none.yaml': no such file
run.yaml:1:22: include: 'folder': expected a file; got a folder
run.yaml:1:55: include: expected the name of a file; got a map
empty.yaml:1:1: the file is empty
broken.yaml:2:2: not YAML: end of sequence flow not found)");
}

}  // namespace tandem::config
