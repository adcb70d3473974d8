// JSON: what is accepted means the same after it was written and read again.

#include "tandem/base/json.h"

#include <nlohmann/json.hpp>

#include "../support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  fuzz::accepted([&] {
    const nlohmann::json json = parse_json(fuzz::text_of(data, size), "fuzz");
    const nlohmann::json again = fuzz::read_back([&] { return parse_json(json.dump(), "again"); });
    fuzz::require(again == json, "the same after a round");
  });
  return 0;
}
