#pragma once
// What tests ask of an error.

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "tandem/base/error.h"

namespace tandem::test {

// Runs `act`, which must throw an Error, and gives it.
inline Error error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  FAIL("expected an Error; nothing was thrown");
  throw;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tandem::test
