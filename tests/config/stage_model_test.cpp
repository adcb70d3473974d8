#include <catch2/catch.hpp>

#include "support.h"

namespace tandem::config {
namespace {

std::string staged(const std::string& second) {
  return R"(name: staged
model: {family: two_tower, vocabulary: 300, vision: {width: 48, layers: 3}, activation: quick_gelu}
data: {sources: {pairs: {format: drawn, size: 100}}}
stages:
  - {name: first, losses: {itc: 1}, until: {steps: 10}}
  - name: second
    losses: {itm: 1}
    until: {steps: 10}
)" + second;
}

const TwoTower& model_in(const Loaded& loaded, std::size_t stage) {
  return dynamic_cast<const TwoTower&>(*model_of(loaded.config, loaded.config.stages.at(stage)));
}

}  // namespace

TEST_CASE("a stage's model is the run's with the stage's keys laid on it", "[config]") {
  const Loaded loaded = load_text(staged("    model: {vision: {width: 96}, projection: null}\n"));
  const TwoTower &first = model_in(loaded, 0), &second = model_in(loaded, 1);
  CHECK(first.width == 48);
  CHECK(first.projection);
  CHECK(second.width == 96);
  CHECK(second.layers == 3);
  CHECK(second.activation == "quick_gelu");
  CHECK_FALSE(second.projection);
  CHECK_FALSE(begins_anew(loaded.config, 0));
  CHECK(begins_anew(loaded.config, 1));
  CHECK(loaded.origins.find("width: 96") != std::string::npos);
}

TEST_CASE("a stage without a model goes on with the run's", "[config]") {
  const Loaded loaded = load_text(staged(""));
  CHECK(&model_in(loaded, 0) == &model_in(loaded, 1));
  CHECK_FALSE(begins_anew(loaded.config, 1));
  CHECK(load_text(staged("    init: first\n")).config.stages[1].init == "first");
}

TEST_CASE("a stage's model and start read back from the resolved text", "[config]") {
  Folder folder;
  const std::string more = "    init: runs/x@first\n    model: {vision: {width: 96}}\n";
  const Loaded first = load(folder.write("run.yaml", staged(more)), {}, tables());
  const Loaded again = load(folder.write("far/again.yaml", first.resolved), {}, tables());
  CHECK(again.resolved == first.resolved);
  CHECK(again.config.stages[1].init == folder.str() + "/runs/x@first");
  CHECK(model_in(again, 1).width == 96);
  CHECK(model_in(again, 0).width == 48);
  CHECK(resume_differences(first.resolved, again.resolved).empty());
}

TEST_CASE("overrides reach a stage's model, and mistakes in it are told once", "[config]") {
  const Loaded loaded = load_text(staged(""), {"stages.second.model.vision.width=80"});
  CHECK(model_in(loaded, 1).width == 80);
  CHECK(model_in(loaded, 1).layers == 3);
  Folder folder;
  folder.write("run.yaml", staged("    model: {visoin: {width: 96}, family: two_tower}\n"));
  const std::string report = report_of(folder, "run.yaml");
  CHECK(report.find("unknown key 'stages.second.model.visoin'") != std::string::npos);
  CHECK(report.find("unknown key 'stages.second.model.family'") != std::string::npos);
  CHECK(report.find("unknown key 'model.") == std::string::npos);
}

TEST_CASE("paths that have to exist are told, not refused, where a plan may lack them",
          "[config]") {
  Folder folder;
  Tables lacking = tables();
  lacking.may_lack = true;
  const auto file = folder.write("run.yaml", R"(
model: {family: two_tower, tokenizer: no/tokenizer.json}
data: {sources: {pairs: {format: files, path: no/pictures}}}
stages: [{name: first, losses: {itc: 1}, until: {steps: 10}}]
)");
  const Loaded loaded = load(file, {}, lacking);
  REQUIRE(loaded.absent.size() == 2);
  CHECK(loaded.absent[0] == "model.tokenizer: " + folder.str() + "/no/tokenizer.json");
  CHECK(loaded.absent[1] == "data.sources.pairs.path: " + folder.str() + "/no/pictures");
  CHECK_THROWS_AS(load(file, {}, tables()), Error);
}

TEST_CASE("a stage takes the codes of a job before it, or of a file that is there", "[config]") {
  const auto with = [](const std::string& codes, const std::string& job = "") {
    return load_text(R"(model: {family: two_tower}
data: {sources: {pairs: {format: drawn, size: 100}}}
stages:
  - {name: book, kind: job, job: {task: codes, inputs: [pairs])" +
                     job + R"(}}
  - {name: own, kind: job, job: {task: caption, inputs: [pairs]}}
  - {name: last, losses: {mim: 1}, until: {steps: 10}, data: {mix: {pairs: 1}})" +
                     codes + "}\n");
  };
  const Loaded loaded = with(", codes: book", ", samples: 50, patches: 0, rounds: 3");
  CHECK(loaded.config.stages[2].codes == "book");
  CHECK(loaded.config.stages[0].job.samples == 50);
  CHECK(loaded.config.stages[0].job.patches == 0);
  CHECK(loaded.config.stages[0].job.rounds == 3);
  CHECK(load_text(loaded.resolved).resolved == loaded.resolved);
  // A run that began before there were codes resolves to what it was.
  CHECK(with("").resolved.find("rounds") == std::string::npos);
  CHECK(with("").config.stages[2].codes.empty());
  Folder folder;
  const auto file = folder.write("codes.safetensors", "");
  CHECK(with(", codes: " + file.string()).config.stages[2].codes == file.string());
  CHECK_THROWS_WITH(with(", codes: own"), Catch::Contains("no such file or folder"));
  CHECK_THROWS_WITH(with(", codes: book", ", rounds: 0"), Catch::Contains("job.rounds: expected"));
  CHECK_THROWS_WITH(with("", ", samples: 0"), Catch::Contains("job.samples: expected"));
}

TEST_CASE("a stage keeps features by a word, or by a map that says how", "[config]") {
  const auto with = [](const std::string& cache) {
    return load_text(R"(model: {family: two_tower}
data: {sources: {pairs: {format: drawn, size: 100}}}
stages: [{name: first, losses: {itc: 1}, until: {steps: 10})" +
                     cache + "}]\n");
  };
  CHECK_FALSE(with("").config.stages[0].cache.features);
  CHECK(with("").resolved.find("cache") == std::string::npos);  // what it was before there was one
  const Loaded plain = with(", cache: features");
  CHECK(plain.config.stages[0].cache.features);
  CHECK(plain.config.stages[0].cache.type == "fp32");
  CHECK(plain.resolved.find("cache: features") != std::string::npos);
  CHECK(load_text(plain.resolved).resolved == plain.resolved);
  const Loaded full = with(", cache: {folder: /tmp/rows, pictures: 20, type: bf16}");
  const CacheConfig& cache = full.config.stages[0].cache;
  CHECK((cache.features && cache.folder == "/tmp/rows" && cache.pictures == 20));
  CHECK(cache.type == "bf16");
  CHECK(load_text(full.resolved).resolved == full.resolved);
  CHECK(load_text(plain.resolved, {"stages.first.cache=null"}).resolved == with("").resolved);
  CHECK_THROWS_WITH(with(", cache: pixels"), Catch::Contains("cache: expected features"));
  CHECK_THROWS_WITH(with(", cache: {pictures: -1}"), Catch::Contains("cache.pictures"));
  // With the same bits a run may go on; bf16 is another run.
  CHECK(resume_differences(with("").resolved, plain.resolved).empty());
  CHECK_FALSE(resume_differences(plain.resolved, full.resolved).empty());
}

}  // namespace tandem::config
