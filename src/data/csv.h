#pragma once
// One record to its fields. Source: RFC 4180. Beyond it, a quote inside a field that does not begin
// with one is a character as any other.

#include <string>
#include <string_view>
#include <vector>

namespace tandem::data {

// Throws Error(data) at `where`: a quoted field that does not end, text behind its end.
std::vector<std::string> fields_of(std::string_view record, char separator, bool quote,
                                   const std::string& where);

}  // namespace tandem::data
