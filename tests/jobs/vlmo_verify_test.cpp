// Fixtures: tests/reference/vlmo.py (microsoft/unilm's VLMo, torch 2.11.0).

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tandem/jobs/verify.h"

using namespace tandem;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> fixtures{"vlmo_base",         "vlmo_base_plus", "vlmo_grid",
                                        "vlmo_no_joint",     "vlmo_all_joint", "vlmo_language",
                                        "vlmo_language_plus"};

fs::path fixture(const std::string& name) {
  return fs::path(TANDEM_SOURCE_DIR) / "tests/reference/fixtures" / name;
}

}  // namespace

TEST_CASE("VLMo's losses and gradients equal the original's") {
  for (const std::string& name : fixtures) {
    const jobs::VerifyReport report =
        jobs::verify(fixture(name), fixture(name) / "reference.safetensors");
    INFO(name << "\n" << report.text());
    CHECK(report.equal());
  }
}
