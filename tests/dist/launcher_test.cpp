#include "tandem/dist/launcher.h"

#include <signal.h>

#include <catch2/catch.hpp>
#include <string>

#include "job.h"
#include "tandem/base/error.h"

namespace launcher_test {

using namespace tandem;
using namespace tandem::dist;

namespace {

// The code of a job whose ranks leave with these codes (-N: killed by signal N).
int code_of(const std::vector<std::string>& codes) {
  std::vector<std::string> arguments{"launch", std::to_string(codes.size()), "10000", "codes"};
  arguments.insert(arguments.end(), codes.begin(), codes.end());
  Job job(arguments);
  job.rest();
  return job.exit_code();
}

}  // namespace

TEST_CASE("the launcher's code tells how the ranks ended") {
  CHECK(code_of({"0", "0", "0"}) == 0);
  CHECK(code_of({"0", "64", "0"}) == 64);
  CHECK(code_of({"75", "77", "75"}) == 77);
  CHECK(code_of({"75", "0"}) == 75);
  CHECK(code_of({"-9", "0"}) == 75);
  CHECK(code_of({"65", "-11"}) == 75);
  CHECK(code_of({"130", "130"}) == 130);
}

TEST_CASE("rank 0 has the launcher's stdout, and all have its stderr") {
  Job job({"launch", "2", "10000", "codes", "0", "0"});
  job.rest();
  CHECK(job.exit_code() == 0);
  CHECK(job.out() == "out of rank 0\n");
  CHECK(job.err().find("err of rank 0") != std::string::npos);
  CHECK(job.err().find("err of rank 1") != std::string::npos);
}

TEST_CASE("the launcher passes signals on to all ranks") {
  for (const int signal : {SIGINT, SIGTERM}) {
    Job job({"launch", "3", "10000", "signal", "polite"});
    job.wait_for("ready", 3);
    kill(job.launcher(), signal);
    job.wait_for("got " + std::to_string(signal), 3);
    job.rest();
    CHECK(job.exit_code() == 128 + signal);
  }
}

TEST_CASE("a second SIGINT kills the ranks") {
  Job job({"launch", "2", "10000", "signal", "stubborn"});
  job.wait_for("ready", 2);
  kill(job.launcher(), SIGINT);
  job.wait_for("got 2", 2);
  kill(job.launcher(), SIGINT);
  job.rest();
  CHECK(job.exit_code() == 130);
}

TEST_CASE("what does not leave after a lost rank is killed") {
  Job job({"launch", "3", "500", "signal", "stubborn"});
  const auto pids = job.wait_for("ready", 3);
  kill(pids.at(1), SIGKILL);
  job.rest();
  CHECK(job.exit_code() == 75);
}

TEST_CASE("the ranks die with the launcher") {
  Job job({"launch", "3", "10000", "signal", "stubborn"});
  job.wait_for("ready", 3);
  kill(job.launcher(), SIGKILL);
  job.rest();
  CHECK(job.exit_code() == -SIGKILL);
}

TEST_CASE("a command that does not exist ends the job") {
  CHECK(launch(2, {"/nonexistent/program"}) == exit_code(ErrorKind::io));
}

TEST_CASE("a job of no processes is refused") {
  CHECK_THROWS_AS(launch(0, {"/bin/true"}), Error);
  CHECK_THROWS_AS(launch(1, {}), Error);
}

}  // namespace launcher_test
