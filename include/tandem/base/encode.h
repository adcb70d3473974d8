#pragma once
// Bytes as text that may stand in other text.

#include <optional>
#include <string>
#include <string_view>

namespace tandem {

// For HTML's text and attributes, in either kind of quotes.
std::string escape_html(std::string_view text);

// RFC 4648, section 4, padded.
std::string to_base64(std::string_view bytes);
// The reverse; padding may be missing. nullopt for any other character.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace tandem
