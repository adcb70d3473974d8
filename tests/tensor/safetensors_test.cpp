#include "tandem/tensor/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <limits>

#include "../support/temporary.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/random.h"

namespace safetensors_test {

using namespace tandem;
using namespace tandem::testing;

namespace {

// length, header, data: a file as a careless or hostile program would write it.
std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

Error error_of_file(const TemporaryDirectory& directory, const std::string& bytes) {
  put_file(directory / "bad.safetensors", bytes);
  try {
    load_safetensors(directory / "bad.safetensors");
  } catch (const Error& error) {
    return error;
  }
  FAIL("loaded: " << bytes.substr(0, 300));
  throw 0;
}

std::string bytes_of_tensor(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()),
          static_cast<std::size_t>(tensor.numel()) * tensor.element_size()};
}

// The bytes i * 37 + 11 mod 251, or 0 and 1 for bool, as [2, 3].
at::Tensor pattern(at::ScalarType type) {
  at::Tensor tensor = at::empty({2, 3}, at::TensorOptions().dtype(type));
  auto* bytes = static_cast<unsigned char*>(tensor.mutable_data_ptr());
  const auto count = static_cast<std::size_t>(tensor.numel()) * tensor.element_size();
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<unsigned char>(type == at::kBool ? i % 2 : (i * 37 + 11) % 251);
  }
  return tensor;
}

NamedTensors one_of_each() {
  using T = at::ScalarType;
  NamedTensors tensors;
  const std::pair<const char*, T> types[] = {{"bool", T::Bool},
                                             {"uint8", T::Byte},
                                             {"int8", T::Char},
                                             {"int16", T::Short},
                                             {"int32", T::Int},
                                             {"int64", T::Long},
                                             {"uint16", T::UInt16},
                                             {"uint32", T::UInt32},
                                             {"uint64", T::UInt64},
                                             {"float16", T::Half},
                                             {"bfloat16", T::BFloat16},
                                             {"float32", T::Float},
                                             {"float64", T::Double},
                                             {"complex64", T::ComplexFloat},
                                             {"float8_e4m3fn", T::Float8_e4m3fn},
                                             {"float8_e5m2", T::Float8_e5m2},
                                             {"float8_e8m0fnu", T::Float8_e8m0fnu},
                                             {"float8_e4m3fnuz", T::Float8_e4m3fnuz},
                                             {"float8_e5m2fnuz", T::Float8_e5m2fnuz}};
  for (const auto& [name, type] : types) tensors.emplace_back(name, pattern(type));
  tensors.emplace_back("empty", at::zeros({0, 4}));
  tensors.emplace_back("scalar", at::ones({}).mul(1.5));
  tensors.emplace_back("é\"\\\n\x01\x7f/😀", at::ones({1}));
  return tensors;
}

}  // namespace

TEST_CASE("the bytes are those that the reference writer makes") {
  // Made with safetensors.serialize of the Python package safetensors 0.8.0 from the same bytes.
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"uint64":{"dtype":"U64","shape":[2,3],"data_offsets":[0,48]},)"
      R"("int64":{"dtype":"I64","shape":[2,3],"data_offsets":[48,96]},)"
      R"("float64":{"dtype":"F64","shape":[2,3],"data_offsets":[96,144]},)"
      R"("complex64":{"dtype":"C64","shape":[2,3],"data_offsets":[144,192]},)"
      R"("empty":{"dtype":"F32","shape":[0,4],"data_offsets":[192,192]},)"
      R"("float32":{"dtype":"F32","shape":[2,3],"data_offsets":[192,216]},)"
      R"("scalar":{"dtype":"F32","shape":[],"data_offsets":[216,220]},)"
      "\"é\\\"\\\\\\n\\u0001\x7f/😀\""
      R"(:{"dtype":"F32","shape":[1],"data_offsets":[220,224]},)"
      R"("uint32":{"dtype":"U32","shape":[2,3],"data_offsets":[224,248]},)"
      R"("int32":{"dtype":"I32","shape":[2,3],"data_offsets":[248,272]},)"
      R"("bfloat16":{"dtype":"BF16","shape":[2,3],"data_offsets":[272,284]},)"
      R"("float16":{"dtype":"F16","shape":[2,3],"data_offsets":[284,296]},)"
      R"("uint16":{"dtype":"U16","shape":[2,3],"data_offsets":[296,308]},)"
      R"("int16":{"dtype":"I16","shape":[2,3],"data_offsets":[308,320]},)"
      R"("float8_e5m2fnuz":{"dtype":"F8_E5M2FNUZ","shape":[2,3],"data_offsets":[320,326]},)"
      R"("float8_e4m3fnuz":{"dtype":"F8_E4M3FNUZ","shape":[2,3],"data_offsets":[326,332]},)"
      R"("float8_e8m0fnu":{"dtype":"F8_E8M0","shape":[2,3],"data_offsets":[332,338]},)"
      R"("float8_e4m3fn":{"dtype":"F8_E4M3","shape":[2,3],"data_offsets":[338,344]},)"
      R"("float8_e5m2":{"dtype":"F8_E5M2","shape":[2,3],"data_offsets":[344,350]},)"
      R"("int8":{"dtype":"I8","shape":[2,3],"data_offsets":[350,356]},)"
      R"("uint8":{"dtype":"U8","shape":[2,3],"data_offsets":[356,362]},)"
      R"("bool":{"dtype":"BOOL","shape":[2,3],"data_offsets":[362,368]}}    )";
  const std::string bytes = safetensors_bytes(one_of_each(), {{"format", "pt"}});
  REQUIRE(bytes.size() == 1888);
  CHECK(bytes.substr(8, 1512) == header);
  CHECK(bytes.substr(0, 8) == std::string("\xE8\x05\0\0\0\0\0\0", 8));
  CHECK(hash128(bytes) == "188864aa41d1dc97bd57e603aa4f3f90");
  CHECK(safetensors_bytes({}) == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
}

TEST_CASE("what was saved is loaded, of every type") {
  TemporaryDirectory directory;
  const NamedTensors tensors = one_of_each();
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"ключ", "\n"}, {"a", ""}};
  save_safetensors(directory / "a.safetensors", tensors, metadata);
  CHECK(bytes_of_file(directory / "a.safetensors") == safetensors_bytes(tensors, metadata));
  CHECK(safetensors_size(tensors, metadata) ==
        static_cast<std::int64_t>(std::filesystem::file_size(directory / "a.safetensors")));
  const TensorFile file = load_safetensors(directory / "a.safetensors");
  CHECK(file.metadata == metadata);
  REQUIRE(file.tensors.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    INFO(name);
    const at::Tensor& got = file.tensors.at(name);
    CHECK(got.scalar_type() == tensor.scalar_type());
    CHECK(got.sizes() == tensor.sizes());
    CHECK(bytes_of_tensor(got) == bytes_of_tensor(tensor));
  }
}

TEST_CASE("values are written, not storage: views, transposes, gradients") {
  const at::Tensor base = at::arange(12, at::kFloat).reshape({3, 4});
  at::Tensor leaf = base.clone();
  leaf.set_requires_grad(true);
  const NamedTensors views{{"a", base.t()}, {"b", base.slice(1, 1, 3)}, {"c", leaf}};
  const NamedTensors copies{
      {"c", base.clone()}, {"b", base.slice(1, 1, 3).clone()}, {"a", base.t().contiguous()}};
  CHECK(safetensors_bytes(views) == safetensors_bytes(copies));
}

TEST_CASE("names that cannot be written are refused") {
  const at::Tensor x = at::ones({1});
  CHECK_THROWS_AS(safetensors_bytes({{"a", x}, {"a", x}}), Error);
  CHECK_THROWS_AS(safetensors_bytes({{"__metadata__", x}}), Error);
  CHECK_THROWS_AS(safetensors_bytes({{"\xff", x}}), Error);
  CHECK_THROWS_AS(safetensors_bytes({{"a", x}}, {{"k", "\xff"}}), Error);
  CHECK_THROWS_AS(safetensors_bytes({{"a", x.to(at::kComplexDouble)}}), Error);
  CHECK_THROWS_AS(safetensors_bytes({{"a", x.to_sparse()}}), Error);
  CHECK_THROWS_AS(safetensors_bytes({{"a", at::Tensor()}}), Error);
  CHECK_FALSE(safetensors_type(at::kComplexDouble).has_value());
  CHECK(safetensors_type(at::kBFloat16) == "BF16");
}

TEST_CASE("broken files are refused with their name and the tensor's") {
  TemporaryDirectory directory;
  const std::string d4(4, 'x'), d8(8, 'x');
  const auto one = [](const std::string& inside) { return "{\"t\":{" + inside + "}}"; };
  const std::string good = one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])");
  put_file(directory / "good.safetensors", file_of(good, d4));
  CHECK(load_safetensors(directory / "good.safetensors").tensors.size() == 1);

  const std::pair<std::string, std::string> cases[] = {
      {"", "got 0 bytes"},
      {"1234567", "got 7 bytes"},
      {std::string(8, '\0'), "begin with {"},
      {std::string(8, '\xff'), "header of at most"},
      {file_of(good, d4).substr(0, 20), "header of at most"},
      {file_of(good, "xxx"), "expected 4 bytes of data; got 3"},
      {file_of(good, "xxxxx"), "expected 4 bytes of data; got 5"},
      {file_of(" " + good, d4), "begin with {"},
      {file_of("[]", ""), "begin with {"},
      {file_of("{", ""), "no JSON"},
      {file_of(good + "{}", d4), "no JSON"},
      {file_of("{\"\xff\":1}", ""), "no JSON"},
      {file_of("{\"t\":" + std::string(100'000, '['), ""), "a list where none belongs"},
      {file_of("{\"t\":{\"shape\":" + std::string(100'000, '['), ""), "a list where none belongs"},
      {file_of("{\"t\":" + std::string(100'000, '{'), ""), "no JSON"},
      {file_of("{\"t\":1}", ""), "a number where none belongs"},
      {file_of("{\"t\":null}", ""), "null where none belongs"},
      {file_of("{\"t\":{}}", ""), "expected dtype, shape and data_offsets"},
      {file_of("{\"__metadata__\":{\"a\":1}}", ""), "a number where none belongs"},
      {file_of("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", ""), "metadata stands twice"},
      {file_of("{\"__metadata__\":{\"a\":{}}}", ""), "an object where none belongs"},
      {file_of("{\"__metadata__\":{\"a\":[]}}", ""), "a list where none belongs"},
      {file_of(one(R"("dtype":"F33","shape":[1],"data_offsets":[0,4])"), d4), "unknown dtype"},
      {file_of(one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), d4), "negative"},
      {file_of(one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), d4), "whole number"},
      {file_of(one(R"("dtype":"F32","shape":[true],"data_offsets":[0,4])"), d4), "true or false"},
      {file_of(one(R"("dtype":"F32","shape":"1","data_offsets":[0,4])"), d4), "a text where"},
      {file_of(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), d4), "expected 8 bytes"},
      {file_of(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), d4),
       "data_offsets [4, 0]"},
      {file_of(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), d8), "a hole"},
      {file_of(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), d8), "two data_offsets"},
      {file_of(one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), d4), "two data_offsets"},
      {file_of(one(R"("dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4])"), d4), "twice"},
      {file_of(one(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), d4),
       "a text where"},
      {file_of(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1)"), d4), "unknown key"},
      {file_of(one(R"("dtype":"F32","shape":[1])"), d4), "expected dtype, shape and data_offsets"},
      {file_of(one(R"("dtype":"BOOL","shape":[4],"data_offsets":[0,4])"), d4), "neither 0 nor 1"},
      // Products that come round to 4 bytes in 64 bits, or fit only without the size of the type.
      {file_of(one(R"("dtype":"F32","shape":[4294967296,4294967296,1],"data_offsets":[0,0])"), ""),
       "too large"},
      {file_of(one(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])"), d4),
       "too large"},
      {file_of(one(R"("dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0])"), ""),
       "too large"},
      {file_of(one(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,4])"), d4),
       "too large"},
      {file_of(one(R"("dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,4])"), d4),
       "whole number"},
      {file_of(one(R"("dtype":"U8","shape":[1000000000000],"data_offsets":[0,1000000000000])"), d4),
       "expected 1000000000000 bytes of data; got 4"},
      {file_of(good.substr(0, good.size() - 1) + "," + good.substr(1), d4), "name stands twice"},
      {file_of(good.substr(0, good.size() - 1) +
                   R"(,"u":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
               d4 + "xx"),
       "overlaps"},
      {file_of(good.substr(0, good.size() - 1) +
                   R"(,"u":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
               d4),
       "overlaps"},
      {file_of(good.substr(0, good.size() - 1) +
                   R"(,"u":{"dtype":"F32","shape":[1],"data_offsets":[5,9]}})",
               d8 + "x"),
       "a hole"},
  };
  for (const auto& [bytes, expected] : cases) {
    const Error error = error_of_file(directory, bytes);
    INFO(error.what() << "\nexpected: " << expected);
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.where() == (directory / "bad.safetensors").string());
    CHECK(error.message().find(expected) != std::string::npos);
  }
  CHECK(error_of_file(directory, file_of(one(R"("dtype":"F33","shape":[])"), ""))
            .message()
            .find("(\"t\")") != std::string::npos);
}

TEST_CASE("more dimensions than ATen knows are refused") {
  TemporaryDirectory directory;
  std::string shape = "1";
  for (int i = 0; i < 100; ++i) shape += ",1";
  const std::string header =
      "{\"t\":{\"dtype\":\"U8\",\"shape\":[" + shape + "],\"data_offsets\":[0,1]}}";
  CHECK(error_of_file(directory, file_of(header, "x")).message().find("64") != std::string::npos);
}

TEST_CASE("a header above 100 MB is refused before it is read") {
  TemporaryDirectory directory;
  put_file(directory / "bad.safetensors", std::string("\x01\xe1\xf5\x05\0\0\0\0", 8) + "{");
  std::filesystem::resize_file(directory / "bad.safetensors", 200'000'000);  // a sparse file
  try {
    load_safetensors(directory / "bad.safetensors");
    FAIL("loaded");
  } catch (const Error& error) {
    CHECK(error.message().find("at most 100000000 bytes; got 100000001") != std::string::npos);
  }
}

TEST_CASE("what is no file is Error(io)") {
  TemporaryDirectory directory;
  REQUIRE(::mkfifo((directory / "pipe").c_str(), 0600) == 0);
  for (const auto& path : {directory.path(), directory / "pipe", directory / "nothing"}) {
    try {
      load_safetensors(path);
      FAIL("loaded");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::io);
    }
  }
  CHECK_THROWS_AS(save_safetensors(directory / "no/such/place", {}), Error);
}

TEST_CASE("a failed save leaves the older file as it was") {
  TemporaryDirectory directory;
  const auto path = directory / "a.safetensors";
  save_safetensors(path, {{"a", at::ones({2})}});
  const std::string before = bytes_of_file(path);
  CHECK_THROWS_AS(save_safetensors(path, {{"a", at::Tensor()}}), Error);
  CHECK(bytes_of_file(path) == before);
  CHECK(list_directory(directory.path()).size() == 1);
}

TEST_CASE("flipped bits and cuts of a file load or throw, and never more") {
  TemporaryDirectory directory;
  const std::string good = safetensors_bytes(one_of_each(), {{"format", "pt"}});
  const auto path = directory / "x.safetensors";
  std::int64_t loaded = 0, refused = 0;
  const auto attempt = [&](const std::string& bytes) {
    put_file(path, bytes);
    try {
      load_safetensors(path);
      ++loaded;
    } catch (const Error&) {
      ++refused;
    }
  };
  Random random(Key(7).fold("flips"));
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = good;
    const std::uint64_t flips = 1 + random.below(3);
    for (std::uint64_t i = 0; i < flips; ++i) {
      // Twice as often in the header as its share.
      const std::uint64_t at = random.below(random.chance(0.5) ? 1520 : bytes.size());
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
    }
    attempt(bytes);
  }
  for (std::size_t size = 0; size < good.size(); size += 7) attempt(good.substr(0, size));
  CHECK(loaded > 100);
  CHECK(refused > 1000);
}

TEST_CASE("every flipped bit of the length and the start of the header is noticed or harmless") {
  TemporaryDirectory directory;
  const std::string good = safetensors_bytes({{"a", at::ones({2})}});
  for (std::size_t at = 0; at < 8 * 8; ++at) {
    std::string bytes = good;
    bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ (1 << at % 8));
    CHECK(error_of_file(directory, bytes).kind() == ErrorKind::data);
  }
}

}  // namespace safetensors_test
