#include <catch2/catch.hpp>
#include <regex>
#include <set>

#include "support.h"

namespace tandem::config {

TEST_CASE("the page of the schema has a row for each key with type, default and range",
          "[config]") {
  const std::string page = schema_page(tables());
  for (const char* row : {
           "| `seed` | whole number | `0` | at least 0 | of every draw |",
           "| `schedule` | text | `cosine` | `cosine`, `linear`, `constant`, `step`, `polynomial` "
           "| after the warm-up |",
           "| `train` | `all`, `none` or list | `all` |   | ordered rules",
           "| `losses.NAME` | number |   | above 0 | its weight |",
           "| `warmup` | whole number, steps | `0` | at least 0 |",
           "| `family` | text | required | `two_tower`, `one_tower` |",
           "| `path` | path | required | exists | the folder |",
           "| `timeout` | number, seconds | `30` | above 0 | of a read |",
           "## `model.vision` with `family: one_tower`",
           "## `data.sources.NAME` with `format: drawn`",
           "| `task` | text | required | `retrieval`, `hard` |",
       }) {
    INFO(row);
    CHECK(page.find(row) != std::string::npos);
  }
}

TEST_CASE("every key of a resolved config stands on the page, each with a meaning", "[config]") {
  const std::string page = schema_page(tables());
  const std::string text = load_text(small(), {"eval.tasks=[{task: hard, size: 1}]"}).resolved;
  const std::regex key(R"((?:^|\n)[ -]*([a-z_]+):)");
  std::set<std::string> free{"pairs"};  // a name of the file's own
  for (auto it = std::sregex_iterator(text.begin(), text.end(), key); it != std::sregex_iterator();
       ++it) {
    const std::string name = (*it)[1];
    const std::string row = name == "itc" ? "`itc`" : "| `" + name + "` |";
    INFO(name);
    if (!free.count(name)) CHECK(page.find(row) != std::string::npos);
  }
  CHECK(page.find("|   |\n") == std::string::npos);
}

}  // namespace tandem::config
