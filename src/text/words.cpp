#include "tandem/text/words.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "text/unicode.h"

namespace tandem::text {
namespace {

bool is_space(char32_t c) { return (sets_of(c) & kSpace) != 0 || (c >= 0x1C && c <= 0x1F); }

}  // namespace

std::vector<std::string> lower_words(std::string_view given) {
  std::string text;
  repair_utf8(given, text);
  std::vector<std::string> words;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    const bool space = is_space(c);
    if (!space) {
      if (!inside) words.emplace_back();
      append_lower(words.back(), c);
    }
    inside = !space;
  }
  return words;
}

std::string lower_case(std::string_view given) {
  std::string text, lower;
  repair_utf8(given, text);
  for (std::size_t at = 0; at < text.size();) append_lower(lower, next_char(text, at));
  return lower;
}

std::string trimmed(std::string_view given) {
  std::string text;
  repair_utf8(given, text);
  std::size_t first = text.size(), last = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (is_space(next_char(text, at))) continue;
    first = std::min(first, begin);
    last = at;
  }
  return first < last ? text.substr(first, last - first) : std::string();
}

std::size_t upper_length(std::string_view given) {
  std::string text;
  repair_utf8(given, text);
  icu::UnicodeString wide = icu::UnicodeString::fromUTF8(text);
  return static_cast<std::size_t>(wide.toUpper(icu::Locale::getRoot()).countChar32());
}

std::u32string code_points(std::string_view given) {
  std::string text;
  repair_utf8(given, text);
  std::u32string points;
  for (std::size_t at = 0; at < text.size();) points.push_back(next_char(text, at));
  return points;
}

}  // namespace tandem::text
