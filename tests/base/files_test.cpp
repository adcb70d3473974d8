#include "tandem/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../support/temporary.h"
#include "tandem/base/error.h"
#include "tandem/base/json.h"

using namespace tandem;
using namespace tandem::testing;

namespace {

template <class Action>
Error error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  FAIL("expected an error");
  throw 0;
}

}  // namespace

TEST_CASE("a written file holds its bytes and knows their hash") {
  TemporaryDirectory directory;
  std::string all;
  FileWriter file(directory / "a");
  for (const std::size_t count : {3u, 0u, 700'000u, 900'000u, 3'000'000u, 1u}) {
    const std::string part(count, static_cast<char>('a' + count % 7));
    file.write(part);
    all += part;
  }
  file.finish();
  CHECK(bytes_of_file(directory / "a") == all);
  CHECK(file.bytes() == static_cast<std::int64_t>(all.size()));
  CHECK(file.hash() == hash128(all));
  CHECK(read_file(directory / "a", 10'000'000) == all);
}

TEST_CASE("hash128 is XXH3-128, whole or in parts") {
  // The published value for no bytes, and one from xxHash's own test of the seedless hash.
  CHECK(hash128("") == "99aa06d3014798d86001c324468d497f");
  Hash128 parts;
  parts.add("abc", 3);
  parts.add("", 0);
  parts.add("def", 3);
  CHECK(parts.hex() == hash128("abcdef"));
  CHECK(parts.hex() != hash128("abcdeg"));
}

TEST_CASE("a reader reads in order and says where the file ends") {
  TemporaryDirectory directory;
  put_file(directory / "a", "0123456789");
  FileReader file(directory / "a");
  char part[8] = {};
  file.read(part, 4);
  CHECK(std::string(part, 4) == "0123");
  CHECK(file.position() == 4);
  CHECK(file.hash() == hash128("0123"));
  const Error error = error_of([&] { file.read(part, 7); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(error.message().find("ends at byte 10") != std::string::npos);
  CHECK(error.where() == (directory / "a").string());
}

TEST_CASE("what is no regular file is refused without waiting") {
  TemporaryDirectory directory;
  REQUIRE(::mkfifo((directory / "pipe").c_str(), 0600) == 0);
  for (const auto& path : {directory.path(), directory / "pipe", directory / "nothing"}) {
    CHECK(error_of([&] { FileReader file(path); }).kind() == ErrorKind::io);
  }
  CHECK(error_of([&] { FileWriter file(directory.path()); }).kind() == ErrorKind::io);
}

TEST_CASE("a file above the limit is not read") {
  TemporaryDirectory directory;
  put_file(directory / "a", "12345");
  CHECK(read_file(directory / "a", 5) == "12345");
  CHECK(error_of([&] { read_file(directory / "a", 4); }).kind() == ErrorKind::data);
}

TEST_CASE("replace_file leaves the new bytes or the old ones, and no rest") {
  TemporaryDirectory directory;
  replace_file(directory / "a", "old");
  replace_file(directory / "a", "new");
  CHECK(bytes_of_file(directory / "a") == "new");
  CHECK_THROWS_AS(replace_file(directory / "a", 1,
                               [](FileWriter& file) {
                                 file.write("x");
                                 throw Error(ErrorKind::data, "stopped");
                               }),
                  Error);
  CHECK(bytes_of_file(directory / "a") == "new");
  CHECK(list_directory(directory.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("directories are made, listed in order and removed without following links") {
  TemporaryDirectory directory;
  make_directories(directory / "x/y/z/");
  CHECK(std::filesystem::is_directory(directory / "x/y/z"));
  CHECK_NOTHROW(make_directories(directory / "x/y"));
  put_file(directory / "outside", "kept");
  for (const char* name : {"b", "B", "a", ".c"}) put_file(directory / "x" / name, "");
  std::filesystem::create_symlink(directory / "outside", directory / "x/link");
  std::filesystem::create_directory_symlink(directory.path(), directory / "x/up");
  CHECK(list_directory(directory / "x") ==
        std::vector<std::string>{".c", "B", "a", "b", "link", "up", "y"});
  remove_tree(directory / "x");
  remove_tree(directory / "x");
  CHECK(list_directory(directory.path()) == std::vector<std::string>{"outside"});
  CHECK(error_of([&] { make_directories(directory / "outside/x"); }).kind() == ErrorKind::io);
  CHECK(error_of([&] { list_directory(directory / "x"); }).kind() == ErrorKind::io);
  CHECK(error_of([&] { rename_path(directory / "x", directory / "y"); }).kind() == ErrorKind::io);
  CHECK(error_of([&] { remove_file(directory / "x"); }).kind() == ErrorKind::io);
  CHECK(error_of([&] { fsync_directory(directory / "x"); }).kind() == ErrorKind::io);
  CHECK(error_of([&] { make_directory(directory / "outside"); }).kind() == ErrorKind::io);
}

TEST_CASE("a full disk is named with the bytes wanted") {
  if (!std::filesystem::exists("/dev/full")) return;
  const Error error = error_of([] {
    FileWriter file("/dev/full", 123'456);
    file.write(std::string(2'000'000, 'x'));
  });
  CHECK(error.kind() == ErrorKind::io);
  CHECK(exit_code(error.kind()) == 74);
  CHECK(error.where() == "/dev/full");
  CHECK(error.message().find("wanted 2000000 bytes") != std::string::npos);
}

TEST_CASE("JSON is refused when it is none, too deep or ambiguous") {
  CHECK(parse_json(R"({"a": [1, {"b": 2}]})", "x").is_object());
  CHECK(error_of([] { parse_json("{\"a\": ", "here"); }).where() == "here");
  CHECK_THROWS_AS(parse_json("{} {}", "x"), Error);
  CHECK_THROWS_AS(parse_json("\"\xff\"", "x"), Error);
  CHECK_NOTHROW(parse_json("[[[1]]]", "x", 3));
  CHECK_THROWS_AS(parse_json("[[[1]]]", "x", 2), Error);
  CHECK_THROWS_AS(parse_json(std::string(1'000'000, '['), "x"), Error);
  CHECK(parse_ordered_json(R"({"b": 1, "a": 2})", "x").begin().key() == "b");
  CHECK_THROWS_AS(parse_ordered_json("[[[1]]]", "x", 2), Error);
  CHECK_THROWS_AS(parse_json(R"({"a": 1, "b": {"a": 1}, "a": 2})", "x"), Error);
  CHECK_THROWS_AS(parse_json(R"([{"k": {"z": 1}}, {"k": {"z": 1, "z": 2}}])", "x"), Error);
  CHECK_NOTHROW(parse_json(R"([{"k": {"z": 1}}, {"k": {"z": 1}}, {"z": 1}])", "x"));
}
