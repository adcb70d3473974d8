#include "tandem/report/csv.h"

#include <catch2/catch.hpp>
#include <limits>

#include "../support/temporary.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/report/recorder.h"

using namespace tandem;
using namespace tandem::report;

namespace {

std::string text_of(const std::filesystem::path& path) { return read_file(path, 1 << 20); }

}  // namespace

TEST_CASE("a table has a column for every key and empty cells where nothing was measured") {
  const tandem::testing::TemporaryDirectory folder;
  {
    Recorder recorder({.directory = folder.path(), .tensorboard = false});
    recorder.add({1, "a", {{"loss", 0.5}}});
    recorder.add({2, "a", {{"loss", 0.25}, {"eval.x", 1}}});
    recorder.add({3, "b, \"c\"", {{"loss", std::numeric_limits<double>::infinity()}}});
  }
  CHECK(text_of(folder.path() / "metrics.csv") ==
        "step,stage,loss,eval.x\n1,a,0.5,\n2,a,0.25,1\n3,\"b, \"\"c\"\"\",inf,\n");
  // A resumed run drops what comes again.
  Recorder recorder({.directory = folder.path(), .last_step = 1, .tensorboard = false});
  CHECK(text_of(folder.path() / "metrics.csv") == "step,stage,loss\n1,a,0.5\n");
  recorder.add({2, "a", {{"loss", 3}}});
  CHECK(text_of(folder.path() / "metrics.csv") == "step,stage,loss\n1,a,0.5\n2,a,3\n");
}

TEST_CASE("what no row holds is an empty cell, and what is nested deeper than any row is none") {
  const tandem::testing::TemporaryDirectory folder;
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  tandem::testing::put_file(folder / "metrics.jsonl", R"({"step":1,"loss":)" + deep +
                                                          R"(,"lr":null})"
                                                          "\n"
                                                          R"({"step":1,"loss":[[1]],"lr":null})"
                                                          "\n");
  Recorder recorder({.directory = folder.path(), .last_step = 1, .tensorboard = false});
  CHECK(text_of(folder.path() / "metrics.csv") == "step,loss,lr\n1,,nan\n");
}

TEST_CASE("only what is wanted is written") {
  const tandem::testing::TemporaryDirectory folder;
  Recorder recorder({.directory = folder.path(), .csv = false, .tensorboard = false});
  recorder.add({1, "a", {{"loss", 0.5}}});
  CHECK(list_directory(folder.path()) == std::vector<std::string>{"metrics.jsonl"});
}

TEST_CASE("a table that cannot be written is named") {
  const tandem::testing::TemporaryDirectory folder;
  CHECK_THROWS_AS(CsvFile(folder.path() / "no" / "metrics.csv", folder.path() / "m"), Error);
}
