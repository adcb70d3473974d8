#pragma once
// A line of metrics.jsonl as JSON.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace tandem::report {

// An object with a whole number as its step; null for a line that is no row: one that was cut, or
// that somebody else wrote (nested deeper than any row, say).
nlohmann::ordered_json row_json(const std::string& line);

}  // namespace tandem::report
