// Jobs of several processes, seen from outside.

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "job.h"

namespace ranks_test {

using namespace tandem::dist;

namespace {

// The hashes that each rank reported, in order.
std::map<int, std::string> hashes(const std::vector<Report>& reports) {
  std::map<int, std::string> result;
  for (const Report& report : reports)
    if (report.text.rfind("bits ", 0) == 0) result[report.rank] += report.text.substr(5) + " ";
  return result;
}

void check_equal_bits(Job& job, int ranks) {
  const auto each = hashes(job.rest());
  INFO("stderr: " << job.err());
  CHECK(job.exit_code() == 0);
  REQUIRE(static_cast<int>(each.size()) == ranks);
  REQUIRE_FALSE(each.at(0).empty());
  for (const auto& [rank, text] : each) {
    CAPTURE(rank);
    CHECK(text == each.at(0));
  }
}

}  // namespace

TEST_CASE("four ranks sum, gather and broadcast, with the same bits on each") {
  Job job({"launch", "4", "10000", "collectives"});
  check_equal_bits(job, 4);
}

TEST_CASE("two ranks sum, gather and broadcast, with the same bits on each") {
  Job job({"launch", "2", "10000", "collectives"});
  check_equal_bits(job, 2);
}

TEST_CASE("synchronised gradients are the sums, also of missing, shared and recomputed ones") {
  Job job({"launch", "3", "10000", "sync"});
  check_equal_bits(job, 3);
}

TEST_CASE("the first all-reduce of gradients starts before backward ends") {
  Job job({"launch", "2", "10000", "sync"});
  int seen = 0;
  for (const Report& report : job.rest())
    if (report.text.rfind("launched ", 0) == 0) {
      ++seen;
      CHECK(report.text == "launched 3 of 4");
    }
  CHECK(seen == 2);
  CHECK(job.exit_code() == 0);
}

}  // namespace ranks_test
