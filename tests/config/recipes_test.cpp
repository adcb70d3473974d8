#include "tandem/config/recipes.h"

#include <catch2/catch.hpp>

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

TEST_CASE("every config that ships is a recipe that can be read and says what it is") {
  for (const Recipe& recipe : recipes(TANDEM_SOURCE_DIR "/configs")) {
    INFO(recipe.name);
    CHECK_FALSE(recipe.about.empty());
  }
}
