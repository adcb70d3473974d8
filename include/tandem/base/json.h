#pragma once
// JSON from files that nobody vouches for.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace tandem {

// nlohmann copies, compares and writes a value by recursion: what is nested without a bound ends
// the process there. Throws Error(data) at `where` for what is no JSON, is nested deeper than
// `depth`, or holds a key twice in one object.
nlohmann::json parse_json(std::string_view text, const std::string& where, int depth = 64);
// The same with the keys in their order.
nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where,
                                          int depth = 64);

}  // namespace tandem
