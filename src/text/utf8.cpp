// Checking and repairing UTF-8.

#include <cstring>

#include "text/unicode.h"

namespace tandem::text {
namespace {

// Length of the well-formed sequence at text[at], or 0 and in `wrong` the length of the maximal
// wrong piece (Unicode 3.9, table 3-7: the second byte's range depends on the first).
std::size_t sequence_at(std::string_view text, std::size_t at, std::size_t& wrong) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  wrong = 1;
  if (first < 0x80) return 1;
  std::size_t length;
  unsigned low = 0x80, high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= text.size() || byte(at + i) < low || byte(at + i) > high) {
      wrong = i;
      return 0;
    }
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

std::size_t skip_ascii(std::string_view text, std::size_t at) noexcept {
  while (at + 8 <= text.size()) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if ((word & 0x8080808080808080ull) != 0) break;
    at += 8;
  }
  return at;
}

}  // namespace

bool valid_utf8(std::string_view text) noexcept {
  std::size_t at = 0, wrong;
  while ((at = skip_ascii(text, at)) < text.size()) {
    const std::size_t length = sequence_at(text, at, wrong);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::int64_t chars_in(std::string_view text) noexcept {
  std::int64_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  return count;
}

void repair_utf8(std::string_view text, std::string& out) {
  std::size_t wrong;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_at(text, at, wrong);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      at += wrong;
    } else {
      out.append(text, at, length);
      at += length;
    }
  }
}

}  // namespace tandem::text
