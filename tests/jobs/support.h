#pragma once
// What each family's comparison with its original asks.

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "../support/fixtures.h"
#include "tandem/jobs/verify.h"

namespace tandem::testing {

// `verify` finds what each fixture recorded, more than `lines` values of each.
inline void check_recorded(const std::vector<std::string>& names, std::size_t lines = 0) {
  for (const std::string& name : names) {
    CAPTURE(name);
    const jobs::VerifyReport report =
        jobs::verify(fixture(name), fixture(name) / "reference.safetensors");
    INFO(report.text());
    CHECK(report.equal());
    CHECK(report.lines.size() > lines);
  }
}

}  // namespace tandem::testing
