#include "tandem/report/metrics.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <limits>
#include <sstream>

#include "tandem/base/files.h"
#include "tandem/report/progress.h"

using namespace tandem::report;

namespace {

std::filesystem::path fresh_file() {
  const auto path = std::filesystem::temp_directory_path() /
                    ("tandem_metrics_" + std::to_string(::getpid()) + ".jsonl");
  std::filesystem::remove(path);
  return path;
}

std::string rows_in(const std::filesystem::path& path) { return tandem::read_file(path, 1 << 20); }

}  // namespace

TEST_CASE("a row keeps its order and the shortest form of its numbers") {
  CHECK(json_of({3, "a", {{"loss", 0.1}, {"lr", 1e-05}, {"samples", 192}}}) ==
        R"({"step":3,"stage":"a","loss":0.1,"lr":1e-05,"samples":192})");
}

TEST_CASE("numbers that are not finite are words") {
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(json_of({1, "a", {{"x", -inf}, {"y", std::numeric_limits<double>::quiet_NaN()}}}) ==
        R"({"step":1,"stage":"a","x":"-inf","y":"nan"})");
}

TEST_CASE("a resumed file drops the steps that come again and a line that was cut") {
  const auto path = fresh_file();
  {
    MetricsFile file(path, 0);
    for (const int step : {1, 2, 3}) file.add({step, "a", {{"loss", step}}});
  }
  std::ofstream(path, std::ios::app) << R"({"step":4,"st)";
  MetricsFile file(path, 2);
  file.add({3, "a", {{"loss", 30}}});
  CHECK(rows_in(path) ==
        "{\"step\":1,\"stage\":\"a\",\"loss\":1}\n{\"step\":2,\"stage\":\"a\",\"loss\":2}\n"
        "{\"step\":3,\"stage\":\"a\",\"loss\":30}\n");
  std::filesystem::remove(path);
}

TEST_CASE("losses stand beside their chance level, one alone and several by name") {
  Progress one{.stage = "a", .step = 1, .total = 2, .loss = 4.1, .lr = 0.1};
  one.losses = {{"itc", 4.1, 4.158883}};
  CHECK_THAT(line_of(one), Catch::Contains("  loss 4.1000 (chance 4.159)  lr"));
  one.losses = {{"itc", 4.1, 4.158883}, {"itm", 0.7, 0.693147}, {"x", 2, 0}};
  CHECK_THAT(line_of(one),
             Catch::Contains("  itc 4.1 (chance 4.159)  itm 0.7 (chance 0.6931)  x 2  lr"));
}

TEST_CASE("rates are those of the training steps, whatever is done between them") {
  Progress shown{.stage = "a", .step = 40, .total = 100};  // resumed at step 20
  Pace pace;
  pace.start(1000);
  pace.tell(shown, 20, 8, 2, 1010);
  CHECK(shown.samples_per_second == 16);
  CHECK(shown.seconds_left == 30);
  CHECK(shown.waiting == 0.2);
  // An evaluation of 500 seconds, a save that is begun while the clock stands, ten steps more.
  pace.stop(1010);
  pace.stop(1200);
  pace.start(1510);
  pace.start(1512);
  shown.step = 50;
  pace.tell(shown, 30, 8, 3, 1515);
  CHECK(shown.samples_per_second == 16);
  CHECK(shown.seconds_left == 25);
  CHECK(shown.waiting == 0.2);
  Progress none{.step = 0, .total = 10};
  Pace().tell(none, 0, 8, 0, 5);
  CHECK(none.samples_per_second == 0);
}

TEST_CASE("the line of progress says what a person asks for") {
  CHECK(
      line_of({.stage = "contrast",
               .step = 12,
               .total = 100,
               .loss = 2.5,
               .lr = 0.001,
               .samples_per_second = 410.4,
               .seconds_left = 75,
               .waiting = 0.123,
               .waited_for = "decoding"}) ==
      "contrast 12/100  loss 2.5000  lr 0.001  410 samples/s  1:15 left  12 % waiting (decoding)");
}
