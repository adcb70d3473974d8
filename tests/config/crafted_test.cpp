#include <algorithm>
#include <catch2/catch.hpp>

#include "support.h"

namespace tandem::config {
namespace {

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

}  // namespace

TEST_CASE("a file that is no config is refused in one line", "[config]") {
  Folder folder;
  folder.write("folder/x", "");
  CHECK(report_of(folder, "none.yaml") == "none.yaml:1:1: no such file");
  CHECK(report_of(folder, "folder") == "folder:1:1: expected a file; got a folder");
  CHECK(report_of("") == "run.yaml:1:1: the file is empty");
  CHECK(report_of("# only a comment\n") == "run.yaml:1:1: the file is empty");
  CHECK(report_of("---\n...\n") == "run.yaml:2:1: the file is empty");
  CHECK(report_of("- a\n") == "run.yaml:1:1: expected a map; got a list");
  CHECK(report_of("text") == "run.yaml:1:1: expected a map; got a single value");
  CHECK(report_of("a: 1\n---\nb: 1\n") == "run.yaml:3:1: expected one document; got two");
}

TEST_CASE("bytes that are no text are refused at their place", "[config]") {
  CHECK(report_of(std::string("a: \0b", 5)) ==
        "run.yaml:1:4: expected text; got a control character");
  CHECK(report_of("a: 1\nb: \xff\xfe\n") == "run.yaml:2:4: expected UTF-8 text");
  CHECK(report_of("\xff\xfe"
                  "a") == "run.yaml:1:1: expected UTF-8 text");
  CHECK(report_of("a: \xed\xa0\x80") == "run.yaml:1:4: expected UTF-8 text");  // a surrogate
  CHECK(report_of("a: \xc0\xaf") == "run.yaml:1:4: expected UTF-8 text");      // overlong
  CHECK(report_of("a: \xf4\x90\x80\x80") == "run.yaml:1:4: expected UTF-8 text");
  CHECK(report_of("a: \xe2\x82") == "run.yaml:1:4: expected UTF-8 text");  // cut off
  CHECK(report_of("\x7f"
                  "ELF") == "run.yaml:1:1: expected text; got a control character");
  CHECK(report_of("a: \"x\\0y\"") == "run.yaml:1:4: expected text; got a zero character");
  CHECK(report_of("model:\n\tfamily: x\n") == "run.yaml:2:1: a tab; indent with spaces");
}

TEST_CASE("a key twice in a map is refused", "[config]") {
  CHECK(report_of("seed: 1\nmodel: {family: x}\nseed: 2\n") ==
        "run.yaml:3:1: the key 'seed' stands twice in this map");
  CHECK(report_of("stages:\n  - {name: a, name: b}\n") ==
        "run.yaml:2:15: the key 'name' stands twice in this map");
}

TEST_CASE("keys are text, and short", "[config]") {
  CHECK(report_of("{[a]: 1}") ==
        "run.yaml:1:2: expected a key; got a list; is each bracket closed?");
  CHECK(report_of("{{a: 1}: 1}") ==
        "run.yaml:1:2: expected a key; got a map; is each bracket closed?");
  CHECK(report_of("~: 1\n") == "run.yaml:1:1: expected a key; got nothing");
  CHECK(report_of("a: &x 1\n*x : 2\n") == "run.yaml:2:1: expected a key; got an alias");
  CHECK(report_of("&x a: 1\n") == "run.yaml:1:1: an anchor on a key");
  CHECK(report_of("? " + std::string(201, 'k') + "\n: 1\n") ==
        "run.yaml:1:3: a key of more than 200 characters");
}

TEST_CASE("tags are refused", "[config]") {
  CHECK(report_of("seed: !!int 3\n") == "run.yaml:1:7: tags (`!...`) have no meaning here");
  CHECK(report_of("model: !x {a: 1}\n") == "run.yaml:1:8: tags (`!...`) have no meaning here");
}

TEST_CASE("aliases work, and bombs of them are capped", "[config]") {
  const RunConfig c = load_text(R"(
model: {family: two_tower}
data: {sources: {a: {format: drawn}}}
stages:
  - name: one
    losses: &losses {itc: 1, lm: 2}
    until: &end {steps: 3}
  - {name: two, losses: *losses, until: *end}
)")
                          .config;
  CHECK(c.stages[1].losses == c.stages[0].losses);
  CHECK(c.stages[1].until.steps == 3);

  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + repeat(before + ", ", 9) +
            before + "]\n";
  }
  CHECK(report_of(bomb).find("too large: more than 50000 values, aliases counted each time") !=
        std::string::npos);
  const std::string wide =
      "a: &a " + std::string(900000, 'x') + "\nb: [" + repeat("*a, ", 9000) + "]\n";
  CHECK(report_of(wide).find("too large") != std::string::npos);
  CHECK(report_of("a: &a [*a]\n") == "run.yaml:1:8: an alias inside of what it stands for");
  CHECK(report_of("a: *none\n").find("run.yaml:1:4: not YAML: ") == 0);
  // Deeper with each alias, though no nesting is written.
  std::string ladder = "a0: &a0 [x]\n";
  for (int i = 1; i < 100; ++i) {
    ladder += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" +
              std::to_string(i - 1) + "]\n";
  }
  CHECK(report_of(ladder).find("nested too deeply") != std::string::npos);
}

TEST_CASE("nesting 100,000 deep is refused in every form", "[config]") {
  const int deep = 100000;
  for (const std::string& text :
       {repeat("[", deep), repeat("{a: ", deep), repeat("[{", deep), repeat("- ", deep),
        repeat("? ", deep), repeat("[", 100) + repeat("]", 100), repeat("&a ", deep),
        repeat("!a ", deep), repeat("[", deep) + repeat("]", deep)}) {
    const std::string report = report_of(text);
    INFO(text.substr(0, 8));
    CHECK(report.find("run.yaml:") == 0);
    CHECK(report.find('\n') == std::string::npos);
  }
  std::string steps;
  for (int i = 0; i < 1200; ++i) steps += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK(report_of(steps) == "run.yaml:65:65: nested too deeply");
}

TEST_CASE("a file above the limit is refused", "[config]") {
  CHECK(report_of(small() + "#" + std::string(1 << 20, 'x')) ==
        "run.yaml:1:1: expected at most 1048576 bytes");
}

TEST_CASE("many mistakes are cut off, and each stays on one line", "[config]") {
  std::string text = "{";
  for (int i = 0; i < 1000; ++i) text += "\"k\\n" + std::to_string(i) + "\": 1, ";
  const std::string report = report_of(text + "}");
  CHECK(std::count(report.begin(), report.end(), '\n') == 200);
  CHECK(report.substr(report.rfind('\n') + 1) == "and 803 more");
  CHECK(report.find("unknown key 'k\\n0'") != std::string::npos);
}

TEST_CASE("damaged configs are refused or read, never worse", "[config]") {
  const std::string text = small();
  int refused = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char c : {'\0', '\n', '[', '{', ':', '-', '&', '*', '"', '|', '\t', '\xff'}) {
      std::string damaged = text;
      damaged[at] = c;
      if (report_of(damaged) != "no error") ++refused;
    }
    if (report_of(text.substr(0, at)) != "no error") ++refused;
  }
  CHECK(refused > 1000);
}

}  // namespace tandem::config
