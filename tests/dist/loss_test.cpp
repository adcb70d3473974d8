// A rank is lost: the others leave with code 75 and say who it was.

#include <signal.h>

#include <catch2/catch.hpp>
#include <string>

#include "job.h"

namespace loss_test {

using namespace tandem::dist;

namespace {

// KIND, silence and timeout as rank_tool's `lose` takes them.
void check_loss(const std::string& kind, int victim, int signal, const std::string& silence) {
  CAPTURE(kind, victim, signal);
  Job job({"launch", "3", "10000", "lose", kind, silence, "600000"});
  const auto pids = job.wait_for("ready", 3);
  kill(pids.at(victim), signal);
  // Returns when no process is left. Without the watch that would take ten minutes, the last
  // argument of the job, and ctest would have ended it.
  job.rest();
  CHECK(job.exit_code() == 75);
  const std::string text = job.err();
  INFO("stderr: " << text);
  CHECK(text.find("lost rank " + std::to_string(victim) + " (process " +
                  std::to_string(pids.at(victim)) + " on ") != std::string::npos);
}

}  // namespace

TEST_CASE("a killed rank is named by the others in a collective") {
  check_loss("collective", 2, SIGKILL, "30000");
}

TEST_CASE("the kill of rank 0 is named by the others") {
  check_loss("collective", 0, SIGKILL, "30000");
}

TEST_CASE("a killed rank is named where the others hang in something else") {
  check_loss("elsewhere", 1, SIGKILL, "30000");
}

TEST_CASE("a stopped rank is named, and killed") { check_loss("collective", 1, SIGSTOP, "3000"); }

TEST_CASE("a rank that does not come to a collective is named") {
  Job job({"launch", "3", "10000", "lose", "late", "30000", "2000"});
  const auto pids = job.wait_for("ready", 3);
  job.rest();
  CHECK(job.exit_code() == 75);
  const std::string text = job.err();
  INFO("stderr: " << text);
  CHECK(text.find("lost rank 1 (process " + std::to_string(pids.at(1))) != std::string::npos);
  CHECK(text.find("has not reached collective") != std::string::npos);
}

TEST_CASE("a rank with an error of its own decides the code, and the others say that it left") {
  for (const int rank : {0, 1}) {
    CAPTURE(rank);
    Job job({"launch", "3", "10000", "leave", std::to_string(rank)});
    job.rest();
    CHECK(job.exit_code() == 65);
    INFO("stderr: " << job.err());
    CHECK(job.err().find("rank " + std::to_string(rank) + " (process ") != std::string::npos);
    CHECK(job.err().find("left the job") != std::string::npos);
  }
}

TEST_CASE("ranks that do not arrive are named") {
  Job job({"launch", "3", "1000", "absent", "2"});
  job.rest();
  CHECK(job.exit_code() == 75);
  INFO("stderr: " << job.err());
  CHECK(job.err().find("rank 2 did not arrive within 3 s") != std::string::npos);
}

}  // namespace loss_test
