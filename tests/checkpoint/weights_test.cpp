#include <ATen/ops/full.h>

#include <catch2/catch.hpp>

#include "../support/temporary.h"
#include "states.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/checkpoint/checkpoint.h"

namespace weights_test {

using namespace tandem;
using namespace tandem::testing;
using checkpoint::load_weights;

namespace {

void shard(const std::filesystem::path& path, const NamedTensors& tensors) {
  save_safetensors(path, tensors, {{"format", "pt"}});
}

at::Tensor value(double x) { return at::full({2}, x); }

Error error_of(const std::filesystem::path& path) {
  try {
    load_weights(path);
  } catch (const Error& error) {
    return error;
  }
  FAIL("expected an error");
  throw 0;
}

}  // namespace

TEST_CASE("weights come from one file or from the directory that holds it") {
  TemporaryDirectory directory;
  shard(directory / "model.safetensors", {{"a", value(1)}, {"b", value(2)}});
  shard(directory / "other.safetensors", {{"c", value(3)}});
  CHECK(load_weights(directory.path()).size() == 2);
  CHECK(load_weights(directory / "other.safetensors").at("c")[0].item<float>() == 3);
}

TEST_CASE("weights come from shards, each tensor from the one that the index names") {
  TemporaryDirectory directory;
  shard(directory / "model-1.safetensors", {{"a", value(1)}, {"b", value(-1)}});
  shard(directory / "model-2.safetensors", {{"b", value(2)}});
  const auto index = directory / "model.safetensors.index.json";
  put_file(index,
           R"({"metadata": {"total_size": 16}, "weight_map": {"a": "model-1.safetensors",
               "b": "model-2.safetensors"}})");
  const auto weights = load_weights(directory.path());
  REQUIRE(weights.size() == 2);
  CHECK(weights.at("a")[0].item<float>() == 1);
  CHECK(weights.at("b")[0].item<float>() == 2);

  put_file(index, R"({"weight_map": {"a": "model-2.safetensors"}})");
  CHECK(error_of(directory.path()).message().find("holds \"a\"") != std::string::npos);
  put_file(index, R"({"weight_map": {"a": "model-3.safetensors"}})");
  CHECK(error_of(directory.path()).kind() == ErrorKind::io);
  for (const char* bad : {R"({"weight_map": {"a": "../model-1.safetensors"}})",
                          R"({"weight_map": {"a": "/etc/passwd"}})", R"({"weight_map": {"a": 1}})",
                          R"({"weight_map": ["a"]})", R"({})", R"([])", R"({"weight_map": )",
                          R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})"}) {
    put_file(index, bad);
    INFO(bad);
    CHECK(error_of(directory.path()).kind() == ErrorKind::data);
  }
}

TEST_CASE("weights and texts that are not what the manifest beside them says are refused") {
  TemporaryDirectory directory;
  checkpoint::Checkpointer(directory.path(), 1).commit(state_of(3));
  const std::filesystem::path folder = checkpoint::directory_of(directory.path(), 3);
  CHECK(load_weights(folder).size() == 3);
  checkpoint::check_texts(folder);
  const auto flip = [&](const char* name) {
    std::string bytes = read_file(folder / name, 1 << 20);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    put_file(folder / name, bytes);
  };
  flip("config.json");
  CHECK_THROWS_WITH(checkpoint::check_texts(folder), Catch::Contains("config.json"));
  flip("model.safetensors");
  const Error error = error_of(folder);
  CHECK(error.kind() == ErrorKind::data);
  CHECK(error.where().ends_with("model.safetensors"));
  CHECK(error_of(folder / "model.safetensors").kind() == ErrorKind::data);
  // Another program's manifest says nothing of them.
  put_file(folder / "manifest.json", "{}");
  CHECK(load_weights(folder).size() == 3);
  checkpoint::check_texts(folder);
}

TEST_CASE("pickles are refused with the converter's name, whatever they are called") {
  TemporaryDirectory directory;
  const auto names_converter = [](const Error& error) {
    return error.kind() == ErrorKind::data &&
           error.hint().find("scripts/convert_pickle") != std::string::npos;
  };
  for (const char* name : {"model.bin", "model.pt", "model.pth", "model.ckpt", "model.pkl"}) {
    put_file(directory / name, "");
    CHECK(names_converter(error_of(directory / name)));
  }
  CHECK(names_converter(error_of(directory.path())));
  put_file(directory / "zip.safetensors", std::string("PK\x03\x04", 4) + std::string(100, 'x'));
  CHECK(names_converter(error_of(directory / "zip.safetensors")));
  put_file(directory / "bare.safetensors", "\x80\x02}q" + std::string(100, 'x'));
  CHECK(names_converter(error_of(directory / "bare.safetensors")));
  put_file(directory / "index.safetensors", "nonsense and more of it");
  CHECK(error_of(directory / "index.safetensors").hint().find("convert") == std::string::npos);
}

TEST_CASE("a directory without weights says what was expected") {
  TemporaryDirectory directory;
  CHECK(error_of(directory.path()).message().find("model.safetensors") != std::string::npos);
  CHECK(error_of(directory / "nothing.safetensors").kind() == ErrorKind::io);
}

}  // namespace weights_test
