#include "tandem/tensor/device.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tandem/base/error.h"

namespace device_test {

using tandem::Error;
using tandem::ErrorKind;

namespace {

std::string failure_of(const std::string& wanted, int local_rank = 0) {
  try {
    tandem::resolve_device(wanted, local_rank);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    return error.what();
  }
  return "none";
}

std::string load_failure(const std::string& path) {
  setenv("TANDEM_CUDA_LIBRARY", path.c_str(), 1);
  std::string text = "none";
  try {
    tandem::load_cuda_library();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    text = error.what();
  }
  unsetenv("TANDEM_CUDA_LIBRARY");
  return text;
}

tandem::Batch numbered(std::int64_t n) {
  tandem::Batch batch;
  batch.positions = {n};
  batch.picture_ids = at::arange(n, n + 1, at::kLong);
  return batch;
}

}  // namespace

TEST_CASE("the driver's GPUs are listed with name, memory and capability") {
  const auto found = tandem::gpus(TANDEM_FAKE_DRIVER);
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "Test GPU 10");
  CHECK(found[1].index == 1);
  CHECK(found[1].bytes == std::int64_t{11} << 32);
  CHECK(found[1].major == 9);
  CHECK(found[1].minor == 1);
}

TEST_CASE("no driver, or a library that is none, means no GPU") {
  CHECK(tandem::gpus("libno_such_driver.so.1").empty());
  CHECK(tandem::gpus("libc.so.6").empty());
}

TEST_CASE("a device is cpu, cuda or auto") {
  CHECK(tandem::resolve_device("cpu").is_cpu());
  CHECK(tandem::resolve_device("cpu", 3).is_cpu());
  CHECK_THAT(failure_of("tpu"), Catch::Contains("expected auto, cpu or cuda; got tpu"));
  if (tandem::gpus().empty()) {
    CHECK(tandem::resolve_device("auto").is_cpu());
    CHECK_THAT(failure_of("cuda"),
               Catch::Contains("expected a GPU") && Catch::Contains("nvidia-smi"));
  } else {
    CHECK_THAT(failure_of("cuda", 1000), Catch::Contains("local rank 1000"));
  }
}

TEST_CASE("a CUDA library that is missing, broken or another one is refused with its path") {
  CHECK(tandem::cuda_function("tandem_cuda_version") == nullptr);
  CHECK_THAT(
      load_failure("/no/such/library.so"),
      Catch::Contains("got no file at /no/such/library.so") && Catch::Contains("scripts/setup"));

  const auto broken = std::filesystem::temp_directory_path() / "tandem_broken_cuda.so";
  std::ofstream(broken) << "this is no library";
  CHECK_THAT(load_failure(broken.string()), Catch::Contains(broken.string()));
  std::filesystem::remove(broken);

  CHECK_THAT(load_failure(TANDEM_FAKE_DRIVER), Catch::Contains("got version none"));
  CHECK(tandem::cuda_function("tandem_cuda_version") == nullptr);
}

TEST_CASE("a copy lane hands batches through in order") {
  tandem::CopyLane lane(at::kCPU);
  lane.push(numbered(1));
  lane.push(numbered(2));
  CHECK(lane.size() == 2);
  CHECK(lane.pop().positions[0] == 1);
  lane.push(numbered(3));
  CHECK(lane.pop().positions[0] == 2);
  const tandem::Batch last = lane.pop();
  CHECK(at::equal(last.picture_ids, at::arange(3, 4, at::kLong)));
  CHECK(lane.size() == 0);
  CHECK(tandem::peak_device_bytes(at::kCPU) == 0);
}

}  // namespace device_test
