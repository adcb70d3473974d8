#include "tandem/data/kept_rows.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "../support/errors.h"
#include "../support/temporary.h"
#include "tandem/base/hash.h"

namespace kept_rows_test {

using namespace tandem;
using namespace tandem::data;

namespace {

constexpr KeptShape small{.places = 5, .rows = 3, .width = 7};

std::string picture(std::int64_t number) { return hash128(std::to_string(number)); }

at::Tensor rows_of(std::int64_t place) {
  at::manual_seed(static_cast<std::uint64_t>(place));
  return at::randn({3, 7});
}

}  // namespace

TEST_CASE("kept rows: what was written is read, by the next run as well, with the same bits") {
  const testing::TemporaryDirectory folder;
  {
    KeptRows kept(folder / "a.rows", "key", small);
    CHECK_FALSE(kept.get(picture(0)).defined());
    for (const std::int64_t n : {3, 0}) CHECK(kept.put(picture(n), rows_of(n)));
    CHECK(at::equal(kept.get(picture(3)), rows_of(3)));
    CHECK_FALSE(kept.get(picture(1)).defined());
  }
  const KeptRows again(folder / "a.rows", "key", small);
  CHECK(at::equal(again.get(picture(0)), rows_of(0)));
  CHECK(at::equal(again.get(picture(3)), rows_of(3)));
  CHECK_FALSE(again.get(picture(4)).defined());
  CHECK(static_cast<std::int64_t>(std::filesystem::file_size(folder / "a.rows")) ==
        small.bytes_of_file());
}

TEST_CASE("kept rows: a full file takes nothing more and keeps what it has") {
  const testing::TemporaryDirectory folder;
  KeptRows kept(folder / "a.rows", "key", small);
  for (std::int64_t n = 0; n < 5; ++n) CHECK(kept.put(picture(n), rows_of(n)));
  CHECK_FALSE(kept.put(picture(5), rows_of(5)));
  CHECK_FALSE(kept.get(picture(5)).defined());
  CHECK(kept.put(picture(2), rows_of(2)));  // its place is its own
  for (std::int64_t n = 0; n < 5; ++n) CHECK(at::equal(kept.get(picture(n)), rows_of(n)));
}

TEST_CASE("kept rows: bf16 takes half the room and is off by at most 2^-8") {
  const testing::TemporaryDirectory folder;
  KeptShape half = small;
  half.half = true;
  KeptRows kept(folder / "a.rows", "key", half);
  kept.put(picture(2), rows_of(2));
  const at::Tensor read = kept.get(picture(2)), difference = (read - rows_of(2)).abs();
  CHECK(difference.le(rows_of(2).abs() / 256).all().item<bool>());
  CHECK(at::equal(read, rows_of(2).to(at::kBFloat16).to(at::kFloat)));
  CHECK(half.bytes_of_place() * 2 == small.bytes_of_place());
}

TEST_CASE("kept rows: of another tower or shape are refused and left alone") {
  const testing::TemporaryDirectory folder;
  { KeptRows(folder / "a.rows", "key", small).put(picture(1), rows_of(1)); }
  const std::string before = testing::bytes_of_file(folder / "a.rows");
  KeptShape other = small;
  other.width = 8;
  CHECK(test::error_of([&] { KeptRows(folder / "a.rows", "another", small); }).kind() ==
        ErrorKind::data);
  CHECK(test::error_of([&] { KeptRows(folder / "a.rows", "key", other); }).kind() ==
        ErrorKind::data);
  testing::put_file(folder / "cut.rows", before.substr(0, 5000));
  const Error cut = test::error_of([&] { KeptRows(folder / "cut.rows", "key", small); });
  CHECK(cut.kind() == ErrorKind::data);
  CHECK(cut.message().find("got 5000: the file was cut") != std::string::npos);
  CHECK(testing::bytes_of_file(folder / "a.rows") == before);
}

TEST_CASE("kept rows: a file that is cut while it is open is an error with its name") {
  const testing::TemporaryDirectory folder;
  const std::filesystem::path path = folder / "a.rows";
  KeptRows kept(path, "key", small);
  for (std::int64_t n = 0; n < 5; ++n) REQUIRE(kept.put(picture(n), rows_of(n)));
  // Behind the entries, then within them, then everything: through a map each is a signal.
  for (const std::uintmax_t size :
       {std::uintmax_t{2 * 4096}, std::uintmax_t{4096}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(path, size);
    const Error error = test::error_of([&] { kept.get(picture(2)); });
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.where() == path.string());
    CHECK(error.message().find("was cut while it was read") != std::string::npos);
  }
}

TEST_CASE("kept rows: a picture whose rows were not written whole is not there") {
  const testing::TemporaryDirectory folder;
  { KeptRows(folder / "a.rows", "key", small).put(picture(1), rows_of(1)); }
  std::string bytes = testing::bytes_of_file(folder / "a.rows");
  for (std::size_t i = bytes.size() - 5 * 84; i < bytes.size(); ++i) {
    if (bytes[i] != '\0') {  // the first byte of its place
      bytes[i] = static_cast<char>(bytes[i] ^ 1);
      break;
    }
  }
  testing::put_file(folder / "a.rows", bytes);
  KeptRows kept(folder / "a.rows", "key", small);
  CHECK(kept.damaged() == 0);
  CHECK_FALSE(kept.get(picture(1)).defined());
  CHECK(kept.damaged() == 1);
  kept.put(picture(1), rows_of(1));
  CHECK(at::equal(kept.get(picture(1)), rows_of(1)));
  CHECK(kept.damaged() == 1);
}

TEST_CASE("kept rows: several processes fill one file") {
  const testing::TemporaryDirectory folder;
  KeptShape roomy = small;
  roomy.places = 50;
  std::vector<pid_t> children;
  for (std::int64_t child = 0; child < 2; ++child) {
    const pid_t pid = fork();
    if (pid == 0) {
      int code = 1;
      try {
        KeptRows kept(folder / "a.rows", "key", roomy);
        for (std::int64_t n = child; n < 8; n += 2) kept.put(picture(n), rows_of(n));
        code = 0;
      } catch (...) {
      }
      _exit(code);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(status == 0);
  }
  // Of two that meet at one place one may be missing; none is wrong.
  const KeptRows kept(folder / "a.rows", "key", roomy);
  std::int64_t there = 0;
  for (std::int64_t n = 0; n < 8; ++n) {
    const at::Tensor rows = kept.get(picture(n));
    if (!rows.defined()) continue;
    ++there;
    CHECK(at::equal(rows, rows_of(n)));
  }
  CHECK(there >= 6);
}

}  // namespace kept_rows_test
