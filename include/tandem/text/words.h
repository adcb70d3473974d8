#pragma once
// Words of a text as Python's `text.lower().split()` gives them.

#include <string>
#include <string_view>
#include <vector>

namespace tandem::text {

// Any bytes: what is no UTF-8 becomes U+FFFD.
std::vector<std::string> lower_words(std::string_view text);

}  // namespace tandem::text
