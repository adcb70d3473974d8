#include "tandem/text/words.h"

#include "text/unicode.h"

namespace tandem::text {

std::vector<std::string> lower_words(std::string_view given) {
  std::string text;
  repair_utf8(given, text);
  std::vector<std::string> words;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    const bool space = (sets_of(c) & kSpace) != 0 || (c >= 0x1C && c <= 0x1F);
    if (!space) {
      if (!inside) words.emplace_back();
      append_lower(words.back(), c);
    }
    inside = !space;
  }
  return words;
}

}  // namespace tandem::text
