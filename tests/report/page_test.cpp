#include "tandem/report/page.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "../support/fifo.h"
#include "../support/temporary.h"
#include "report/html/chart.h"
#include "report/html/parts.h"
#include "tandem/base/error.h"

using namespace tandem;
using namespace tandem::report;
using tandem::testing::put_file;
using tandem::testing::TemporaryDirectory;

namespace {

// A run of two stages, whose second has two sources and is half done.
void make_run(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder / "samples/retrieval");
  std::string rows;
  for (int step = 1; step <= 6; ++step) {
    const bool first = step <= 4;
    rows += R"({"step":)" + std::to_string(step) + R"(,"stage":")" + (first ? "one" : "two") +
            R"(","loss":)" + (step == 3 ? "\"nan\"" : std::to_string(5 - step)) +
            R"(,"loss.itc":2,"lr":0.1,"grad_norm":1,"time.step":0.5,"time.wait":0.1)" +
            R"(,"time.wait.read":0.02,"time.wait.prepare":0.08)" +
            (first ? "" : R"(,"seen.a":6,"seen.b":2)") +
            (step == 4 ? R"(,"eval.retrieval.mean":0.25)" : "") + "}\n";
  }
  put_file(folder / "metrics.jsonl", rows + R"({"step":7,"st)");
  put_file(folder / "stages.json", R"([
 {"stage":"one","first_step":1,"steps":4,"batch":8,"losses":{"itc":1},
  "chance":{"itc":{"value":2.0794,"meaning":"ln 8"}},"sources":[{"name":"a","samples":16}]},
 {"stage":"two","first_step":5,"steps":4,"batch":8,"losses":{"itc":2},
  "sources":[{"name":"a","samples":16},{"name":"b","samples":4}]}])");
  put_file(folder / "bad_samples.jsonl", "{}\n{}\n");
  put_file(folder / "command.txt", "tandem train <x>\n");
  put_file(folder / "samples/retrieval/0.png", "PNG");
  put_file(folder / "secret.png", "no");
  put_file(folder / "samples/retrieval.json", R"({"step":4,"queries":[
 {"picture":"0.png","text":"a <b>cat</b>","answers":[
   {"text":"a dog","score":0.5,"right":false},{"text":"a cat","score":0.25,"right":true}]},
 {"text":"red","answers":[{"picture":"../secret.png","text":"x","score":1}]}]})");
}

std::string page_of(std::vector<std::string> names, const std::filesystem::path& folder) {
  std::vector<RunData> runs;
  for (const std::string& name : names) {
    make_run(folder / name);
    runs.push_back(read_run(folder / name));
    runs.back().config = {{"seed", name}, {"same", "1"}};
  }
  return html_page(runs);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("a run's folder is read, but for a last line that is being written") {
  const TemporaryDirectory folder;
  make_run(folder / "r");
  const RunData run = read_run((folder / "r").string() + "/");
  CHECK(run.name == "r");
  REQUIRE(run.rows.size() == 6);
  CHECK(std::isnan(run.rows[2].values[0].second));
  CHECK(run.stages[1].first_step == 5);
  CHECK(run.stages[0].chance.at("itc").second == "ln 8");
  CHECK(run.bad_samples == 2);
  CHECK(run.samples[0].queries[0].picture == "PNG");
  CHECK(run.samples[0].queries[1].answers[0].picture.empty());  // outside of its folder
}

TEST_CASE("what is no run and a broken row are named") {
  const TemporaryDirectory folder;
  CHECK_THROWS_WITH(read_run(folder.path()), Catch::Contains("metrics.jsonl"));
  {
    const testing::Fifo pipe(folder / "metrics.jsonl");
    CHECK_THROWS_WITH(read_run(folder.path()), Catch::Contains("metrics.jsonl"));
  }
  std::filesystem::remove(folder / "metrics.jsonl");
  put_file(folder / "metrics.jsonl", "{\"step\":1}\nx\n{\"step\":2}\n");
  CHECK_THROWS_WITH(read_run(folder.path()), Catch::Contains("metrics.jsonl:2"));
  put_file(folder / "metrics.jsonl", "");
  put_file(folder / "stages.json", "[{\"stage\":1}]");
  CHECK_THROWS_WITH(read_run(folder.path()), Catch::Contains("stages.json"));
}

TEST_CASE("files of a run that are nested without a bound are named") {
  const TemporaryDirectory folder;
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  make_run(folder.path());
  put_file(folder / "metrics.jsonl", R"({"step":1,"loss":)" + deep + "}\n");
  CHECK_THROWS_WITH(read_run(folder.path()), Catch::Contains("metrics.jsonl:1"));
  put_file(folder / "metrics.jsonl", "");
  put_file(folder / "samples/retrieval.json", R"({"queries":)" + deep + "}");
  CHECK_THROWS_WITH(read_run(folder.path()),
                    Catch::Contains("retrieval.json") && Catch::Contains("nested at most"));
  put_file(folder / "stages.json", R"([{"stage":"one","losses":)" + deep + "}]");
  CHECK_THROWS_WITH(read_run(folder.path()),
                    Catch::Contains("stages.json") && Catch::Contains("nested at most"));
}

TEST_CASE("a score that is no number is null in the list of samples, and the page has it") {
  const TemporaryDirectory folder;
  make_run(folder.path());
  put_file(folder / "samples/retrieval.json",
           R"({"step":4,"queries":[{"text":"red","answers":[{"text":"x","score":null}]}]})");
  const RunData run = read_run(folder.path());
  CHECK(std::isnan(run.samples.at(0).queries.at(0).answers.at(0).score));
  CHECK(html_page({run}).find("<small>nan</small>") != std::string::npos);
}

TEST_CASE("a page holds curves, stages, the data seen and predictions, and fetches nothing") {
  const TemporaryDirectory folder;
  const std::string page = page_of({"r"}, folder.path());
  for (const char* part :
       {"<h2>Losses</h2>", "chance, ln 8", "eval.retrieval.mean", "samples per second",
        "one: 4 steps of 8, itc", "two: 4 steps of 8, 2 itc", "6 of 8", "20 %, most of it decoding",
        "a &lt;b&gt;cat&lt;/b&gt;", "✓ a cat", "data:image/png;base64,UE5H", "75 %",
        "tandem train &lt;x&gt;", "every value"}) {
    INFO(part);
    CHECK(page.find(part) != std::string::npos);
  }
  for (const char* part : {"http:", "https:", "//cdn", "url(", "@import", "<link", "src=\"/"}) {
    INFO(part);
    CHECK(page.find(part) == std::string::npos);
  }
  CHECK(page.find("default-src 'none'") != std::string::npos);
}

TEST_CASE("several runs share their charts and only what differs of their configs is shown") {
  const TemporaryDirectory folder;
  const std::string one = page_of({"r"}, folder.path());
  const std::string two = page_of({"r", "s"}, folder.path());
  CHECK(count(two, "<figure") == count(one, "<figure"));
  CHECK(count(two, "<path class=\"line c1\"") == count(one, "<path class=\"line c0\""));
  CHECK(two.find("<h2>Differences of the configs</h2>") != std::string::npos);
  CHECK(two.find("<code>seed</code>") != std::string::npos);
  CHECK(two.find("<code>same</code>") == std::string::npos);
}

TEST_CASE("a run that has not made a step has a page") {
  const TemporaryDirectory folder;
  put_file(folder / "metrics.jsonl", "");
  CHECK(html_page({read_run(folder.path())}).find("<figure") == std::string::npos);
}

TEST_CASE("many points are thinned to means and gaps stay gaps") {
  std::vector<std::pair<double, double>> points;
  for (int i = 1; i <= 1000; ++i) points.emplace_back(i, i);
  const auto some = html::thinned(points, 100);
  REQUIRE(some.size() == 100);
  CHECK(some[0] == std::pair(10.0, 5.5));
  CHECK(some[99].first == 1000);
  CHECK(html::thinned(points, 1000) == points);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string svg =
      html::figure({.title = "t", .lines = {{"r", 0, {{1, 1}, {2, nan}, {3, 1}, {4, 2}}}}});
  CHECK(count(svg, "M") == 2);
  CHECK(html::figure({.title = "t", .lines = {{"r", 0, {{1, nan}}}}}).empty());
}

TEST_CASE("ticks are round numbers that cover the range") {
  CHECK(html::ticks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(html::ticks(-1, 1, 4) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
  CHECK(html::ticks(3, 3, 4) == std::vector<double>{3});
}
