#pragma once
// What the reader and the writer of safetensors share.

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::safetensors {

struct Type {
  std::string_view name;
  at::ScalarType type;
  std::int64_t bytes;
};

// From the widest alignment down, the order of the data in a file that the reference writes.
inline constexpr Type types[] = {
    {"U64", at::ScalarType::UInt64, 8},
    {"I64", at::ScalarType::Long, 8},
    {"F64", at::ScalarType::Double, 8},
    {"C64", at::ScalarType::ComplexFloat, 8},
    {"F32", at::ScalarType::Float, 4},
    {"U32", at::ScalarType::UInt32, 4},
    {"I32", at::ScalarType::Int, 4},
    {"BF16", at::ScalarType::BFloat16, 2},
    {"F16", at::ScalarType::Half, 2},
    {"U16", at::ScalarType::UInt16, 2},
    {"I16", at::ScalarType::Short, 2},
    {"F8_E5M2FNUZ", at::ScalarType::Float8_e5m2fnuz, 1},
    {"F8_E4M3FNUZ", at::ScalarType::Float8_e4m3fnuz, 1},
    {"F8_E8M0", at::ScalarType::Float8_e8m0fnu, 1},
    {"F8_E4M3", at::ScalarType::Float8_e4m3fn, 1},
    {"F8_E5M2", at::ScalarType::Float8_e5m2, 1},
    {"I8", at::ScalarType::Char, 1},
    {"U8", at::ScalarType::Byte, 1},
    {"BOOL", at::ScalarType::Bool, 1},
};

inline constexpr std::int64_t max_header_bytes = 100'000'000;  // the reference's own limit
inline constexpr std::size_t max_dimensions = 64;              // ATen's iterators stop there

struct Entry {
  std::string name{};
  const Type* type = nullptr;
  std::vector<std::int64_t> shape{};
  std::int64_t begin = 0, end = 0;  // bytes after the header
};

struct Header {
  std::vector<Entry> entries{};  // in the order of their data
  std::map<std::string, std::string> metadata{};
};

// Checks everything that can be known without the data: the entries tile [0, data_bytes) without
// overlap or hole, and each holds what its shape and type say. Throws Error(data) at `where`.
Header parse_header(std::string_view text, std::int64_t data_bytes, const std::string& where);

}  // namespace tandem::safetensors
