#pragma once
// The models and values that originals recorded.

#include <filesystem>
#include <string>

namespace tandem::testing {

inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(TANDEM_SOURCE_DIR) / "tests/reference/fixtures" / name;
}

}  // namespace tandem::testing
