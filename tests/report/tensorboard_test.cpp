#include "tandem/report/tensorboard.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <limits>
#include <set>

#include "../support/temporary.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"

using namespace tandem;
using namespace tandem::report;

namespace {

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// The payloads of a file of records, whose two checksums are compared.
std::vector<std::string> records_of(const std::string& bytes) {
  std::vector<std::string> records;
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, sizeof length);
    CHECK(number_at(bytes, at + 8) == masked_crc32c(bytes.substr(at, 8)));
    REQUIRE(at + 12 + length + 4 <= bytes.size());
    records.push_back(bytes.substr(at + 12, length));
    CHECK(number_at(bytes, at + 12 + length) == masked_crc32c(records.back()));
    at += 12 + length + 4;
  }
  return records;
}

}  // namespace

TEST_CASE("crc32c is that of RFC 3720") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xe3069283u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
}

TEST_CASE("an event file is a version, a session mark and a record a row") {
  const tandem::testing::TemporaryDirectory folder;
  EventFile file(folder.path(), 7);
  file.add({8, "a", {{"loss", 0.5}, {"eval.retrieval.mean", 1}}});
  file.add({300, "a", {{"x", std::numeric_limits<double>::quiet_NaN()}}});
  const auto records = records_of(read_file(file.path(), 1 << 20));
  REQUIRE(records.size() == 4);
  CHECK(records[0].substr(9) ==
        "\x1a\x0d"
        "brain.Event:2");
  // step 8 (a varint), session_log { status: 1 }
  CHECK(records[1].substr(9) == std::string("\x10\x08\x3a\x02\x08\x01"));
  const std::string half("\x00\x00\x00\x3f", 4), one("\x00\x00\x80\x3f", 4);
  CHECK(records[2].substr(9) == std::string("\x10\x08\x2a\x29") + "\x0a\x0b\x0a\x04loss\x15" +
                                    half +
                                    "\x0a\x1a\x0a\x13"
                                    "eval/retrieval.mean\x15" +
                                    one);
  CHECK(records[3].substr(9, 3) == std::string("\x10\xac\x02"));
}

TEST_CASE("each start makes a file that is later by name, also within a second") {
  const tandem::testing::TemporaryDirectory folder;
  std::set<std::string> names;
  std::string last;
  for (int i = 0; i < 3; ++i) {
    const EventFile file(folder.path(), 0);
    CHECK(file.path().string() > last);
    last = file.path().string();
    names.insert(last);
  }
  CHECK(names.size() == 3);
}

TEST_CASE("an event file that cannot be made is named") {
  const tandem::testing::TemporaryDirectory folder;
  CHECK_THROWS_AS(EventFile(folder.path() / "nowhere", 0), Error);
}
