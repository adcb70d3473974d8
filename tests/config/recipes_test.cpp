#include "tandem/config/recipes.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "support.h"
#include "tandem/base/files.h"

using namespace tandem;
using namespace tandem::config;

namespace {

const char* const whole = R"(# Small pairs (of A et al. 2021), version 2.5 of them. And more words.
include: [../models/small.yaml]
name: pairs
stages: [{name: first}, {name: second}]
)";

}  // namespace

TEST_CASE("recipes are the whole configs of a folder, parts are not") {
  const Folder folder;
  folder.write("models/small.yaml", "model: {family: any}\n");
  folder.write("b/pairs.yaml", whole);
  folder.write("a/other.yaml", "name: other\nstages: [{name: only}]\n");
  const std::vector<Recipe> all = recipes(folder.path());
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "a/other");
  CHECK(all[0].about.empty());
  CHECK(all[1].name == "b/pairs");
  CHECK(all[1].stages == std::vector<std::string>{"first", "second"});
  CHECK(all[1].about == "Small pairs (of A et al. 2021), version 2.5 of them.");
}

TEST_CASE("a recipe is copied with what it includes, and never over another file") {
  const Folder folder, out;
  folder.write("models/small.yaml", "model: {family: any}\n");
  folder.write("b/pairs.yaml", whole);
  const auto path = copy_recipe(folder.path(), "b/pairs", out.path());
  CHECK(path == out.path() / "b/pairs.yaml");
  CHECK(read_file(path, 1 << 20) == whole);
  CHECK(read_file(out.path() / "models/small.yaml", 1 << 20) == "model: {family: any}\n");
  CHECK_NOTHROW(copy_recipe(folder.path(), "b/pairs", out.path()));
  out.write("models/small.yaml", "mine\n");
  CHECK_THROWS_WITH(copy_recipe(folder.path(), "b/pairs", out.path()),
                    Catch::Contains("models/small.yaml") && Catch::Contains("differs"));
  CHECK_THROWS_WITH(copy_recipe(folder.path(), "b/pair", out.path()),
                    Catch::Contains("did you mean b/pairs?"));
}

TEST_CASE("every system ships a recipe for each of its stages") {
  // By the folder that a system's recipes stand in.
  const std::map<std::string, std::vector<std::string>> systems{
      {"clip", {"contrast"}},
      {"vilt", {"pretraining", "vqa", "nlvr2", "retrieval"}},
      {"albef", {"pretrain", "assignment", "vqa", "nlvr2", "ve", "retrieval"}},
      {"vlmo", {"codebook", "vision", "language", "pairs", "vqa", "nlvr2", "retrieval"}},
      {"blip",
       {"pretrain", "captioning", "captioner", "judge", "own", "kept", "anew", "vqa", "nlvr2",
        "retrieval"}},
      {"blip2", {"first", "words", "second"}},
      {"llava", {"connector", "instruct", "dpo"}},
      {"qwen_vl", {"pretrain", "multitask", "instruct"}},
      {"qwen2_vl", {"tower", "everything", "instruct"}},
      {"qwen25_vl", {"tower", "everything", "long", "instruct", "dpo"}},
  };
  std::map<std::string, std::set<std::string>> shipped, papers;
  for (const Recipe& recipe : recipes(TANDEM_SOURCE_DIR "/configs")) {
    const std::size_t slash = recipe.name.find('/');
    const std::string system = recipe.name.substr(0, slash);
    shipped[system].insert(recipe.stages.begin(), recipe.stages.end());
    if (recipe.name.find("paper", slash) != std::string::npos) papers[system].insert(recipe.name);
  }
  for (const auto& [system, stages] : systems) {
    for (const std::string& stage : stages) {
      INFO(system << ": " << stage);
      CHECK(shipped[system].count(stage) == 1);
    }
    INFO(system);
    // CLIP is trained on the world alone; what is released of it is imported.
    CHECK(papers[system].empty() == (system == "clip"));
  }
  for (const auto& [system, stages] : shipped) {
    INFO(system << " is in no table of systems; add it");
    CHECK((systems.count(system) == 1 || system == "world"));  // towers that several begin with
  }
}

TEST_CASE("every config that ships is a recipe that can be read and says what it is") {
  for (const Recipe& recipe : recipes(TANDEM_SOURCE_DIR "/configs")) {
    INFO(recipe.name);
    CHECK_FALSE(recipe.about.empty());
  }
}
