#include "config/foreign.h"

#include <catch2/catch.hpp>
#include <regex>
#include <set>

#include "support.h"
#include "tandem/base/files.h"

namespace tandem::config {
namespace {

struct Line {
  std::string theirs, ours;
};

// The rows of docs/migrate.md.
std::vector<Line> lines_of_page() {
  const std::string page =
      read_file(std::filesystem::path(TANDEM_SOURCE_DIR) / "docs" / "migrate.md", 1 << 20);
  const std::regex row(R"(\n\| `-*([\w-]+)` \| (?:`([\w.]+)` )?\|)");
  std::vector<Line> found;
  for (auto it = std::sregex_iterator(page.begin(), page.end(), row); it != std::sregex_iterator();
       ++it) {
    found.push_back({(*it)[1], (*it)[2]});
  }
  return found;
}

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

}  // namespace

TEST_CASE("every option of the page of other trainers is answered with our key", "[config]") {
  const std::vector<Line> lines = lines_of_page();
  CHECK(lines.size() > 100);
  const std::set<std::string> known{"name", "seed", "device", "precision", "include", "model"};
  for (const Line& line : lines) {
    INFO(line.theirs);
    if (known.count(line.theirs)) continue;  // a key of ours with that name
    const std::string report = report_of(small() + line.theirs + ": 1\n");
    const std::string answer = "unknown key '" + line.theirs + "'; ";
    CHECK_THAT(report, Catch::Contains(answer));
    if (line.ours.empty()) {
      CHECK_THAT(report, !Catch::Contains("did you mean"));
    } else {
      const std::regex meant("did you mean [\\w.]*\\b" + last_part(line.ours) + "\\?");
      CHECK(std::regex_search(report, meant));
    }
  }
}

TEST_CASE("every foreign name stands on that page with the same key, and once in the table",
          "[config]") {
  std::multimap<std::string, std::string> page;
  for (const Line& line : lines_of_page()) page.emplace(folded(line.theirs), line.ours);
  std::set<std::string> seen;
  const std::set<std::string> same{"train_batch_size", "image_resolution", "tokenizer_name"};
  for (const Foreign& one : foreign_names()) {
    INFO(one.name);
    CHECK(seen.emplace(one.name).second);
    CHECK(folded(one.name) == one.name);
    CHECK_FALSE((one.key.empty() && one.note.empty()));
    if (same.count(std::string(one.name))) continue;  // common, but of none of the four
    REQUIRE(page.count(std::string(one.name)) > 0);
    const auto [first, last] = page.equal_range(std::string(one.name));
    for (auto it = first; it != last; ++it) CHECK(it->second == one.key);
  }
}

TEST_CASE("a foreign name says what is different, in a file, a stage and an override", "[config]") {
  CHECK(report_of(small() + "warmup_ratio: 0.1\n") ==
        "run.yaml:11:1: unknown key 'warmup_ratio'; did you mean stages.NAME.optimizer.warmup? (a "
        "number of steps: the ratio x the stage's steps)");
  CHECK(report_of(small() + "    gradient_accumulation_steps: 4\n") ==
        "run.yaml:11:5: unknown key 'stages.first.gradient_accumulation_steps'; did you mean "
        "data.micro_batch? (samples of a rank at once: batch / ranks / their number)");
  CHECK(report_of(small() + "    optimizer: {warmup-steps: 1, max_grad_norm: 1}\n") ==
        "run.yaml:11:17: unknown key 'stages.first.optimizer.warmup-steps'; did you mean warmup?\n"
        "run.yaml:11:34: unknown key 'stages.first.optimizer.max_grad_norm'; did you mean clip?");
  CHECK(
      report_of(small(), {"stages.first.bf16=true", "output_dir=x"}) ==
      "override: stages.first.bf16=true: unknown key 'stages.first.bf16'; did you mean precision? "
      "(precision: bf16)\n"
      "override: output_dir=x: unknown key 'output_dir'; --out DIR on the command line says it");
}

TEST_CASE("case and dashes are no difference, long names are none", "[config]") {
  REQUIRE(foreign("--Grad-Checkpointing") != nullptr);
  CHECK(foreign("--Grad-Checkpointing")->key == "recompute");
  CHECK(foreign("nonsense") == nullptr);
  CHECK(foreign(std::string(1000, 'a')) == nullptr);
}

}  // namespace tandem::config
