#pragma once
// Words and cases of a text as Python's str has them. Any bytes: what is no UTF-8 becomes U+FFFD.

#include <string>
#include <string_view>
#include <vector>

namespace tandem::text {

std::vector<std::string> lower_words(std::string_view text);  // text.lower().split()
std::string lower_case(std::string_view text);                // text.lower()
std::string trimmed(std::string_view text);                   // text.strip()
std::size_t upper_length(std::string_view text);              // len(text.upper())
// The code points of a text.
std::u32string code_points(std::string_view text);

}  // namespace tandem::text
