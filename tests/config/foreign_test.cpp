#include "config/foreign.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
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

namespace {

// The keys of docs/config.md, dotted from the top as the page of other trainers writes them; those
// of a system with the systems that have them, the others with none.
std::map<std::string, std::set<std::string>> keys_of_schema() {
  const std::string page =
      read_file(std::filesystem::path(TANDEM_SOURCE_DIR) / "docs" / "config.md", 1 << 20);
  const std::regex line(
      R"(\n(?:## (?:Top level|`([\w.\[\]]+)`(?: with `(\w+): (\w+)`)?)|\| `([\w.]+)` \|))");
  std::map<std::string, std::set<std::string>> keys;
  std::string section, family;
  for (auto it = std::sregex_iterator(page.begin(), page.end(), line); it != std::sregex_iterator();
       ++it) {
    const std::smatch& found = *it;
    if (!found[4].matched) {
      section = std::regex_replace(found[1].str(), std::regex(R"(\[\])"), ".NAME");
      family = found[2] == "family" ? found[3].str() : "";
      continue;
    }
    auto& systems = keys[(section.empty() ? "" : section + ".") + found[4].str()];
    if (!family.empty()) systems.insert(family);
  }
  return keys;
}

// `of`: sections of that page with the systems that people train there.
struct Trainer {
  std::string of;
  std::vector<std::string> systems;
};

}  // namespace

TEST_CASE("every key that is named to people of other trainers is there", "[config]") {
  const auto keys = keys_of_schema();
  CHECK(keys.size() > 300);
  CHECK(keys.at("model.text.context_length").count("clip"));
  for (const Foreign& one : foreign_names()) {
    INFO(one.name);
    CHECK((one.key.empty() || keys.count(std::string(one.key))));
  }
  const std::string page =
      read_file(std::filesystem::path(TANDEM_SOURCE_DIR) / "docs" / "migrate.md", 1 << 20);
  const std::regex key(R"(`((?:model|stages|data|checkpoint|loader|report)\.[\w.]+)`)");
  int named = 0;
  for (auto it = std::sregex_iterator(page.begin(), page.end(), key); it != std::sregex_iterator();
       ++it, ++named) {
    INFO((*it)[1]);
    // In the text on top, `data` is short for a stage's.
    CHECK((keys.count((*it)[1]) || keys.count("stages.NAME." + (*it)[1].str())));
  }
  CHECK(named > 80);
}

TEST_CASE("a key of the model is named for each system that a trainer's people bring", "[config]") {
  const auto keys = keys_of_schema();
  const std::string page =
      read_file(std::filesystem::path(TANDEM_SOURCE_DIR) / "docs" / "migrate.md", 1 << 20);
  const std::vector<Trainer> trainers{{"open_clip", {"clip"}},
                                      {"LAVIS", {"albef", "blip", "blip2"}},
                                      {"LLaMA-Factory", {"llava", "qwen2_vl", "qwen25_vl"}}};
  const std::regex row(R"(\n\| `-*([\w-]+)` \|[^\n]*)"), key(R"(`(model\.[\w.]+)`)");
  const std::set<std::string> of_some{"image_max_pixels", "image_min_pixels"};  // as the page says
  for (const Trainer& trainer : trainers) {
    const std::size_t begin = page.find("\n## " + trainer.of + "\n");
    REQUIRE(begin != std::string::npos);
    const std::string part = page.substr(begin, page.find("\n## ", begin + 1) - begin);
    for (auto it = std::sregex_iterator(part.begin(), part.end(), row);
         it != std::sregex_iterator(); ++it) {
      const std::string text = it->str(), theirs = (*it)[1];
      std::vector<std::string> named;
      for (auto k = std::sregex_iterator(text.begin(), text.end(), key);
           k != std::sregex_iterator(); ++k) {
        named.push_back((*k)[1]);
      }
      if (named.empty() || of_some.count(theirs)) continue;
      for (const std::string& system : trainer.systems) {
        INFO(trainer.of << ": " << theirs << " for " << system);
        const auto has = [&](const std::string& one) {
          const auto found = keys.find(one);
          return found != keys.end() && (found->second.empty() || found->second.count(system));
        };
        CHECK(std::any_of(named.begin(), named.end(), has));
      }
    }
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
