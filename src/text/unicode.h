#pragma once
// Unicode as `tokenizers` 0.23 sees it. Its parts come from libraries of different ages: regular
// expressions, lower case, white space and digits follow Unicode 16, normal forms and StripAccents
// Unicode 9, BERT's classes Unicode 8. Here they are ICU's properties, without the characters that
// are newer than such a part and with those that are newer than ICU 72 (Unicode 15); every code
// point was compared. With a newer ICU the equality holds but for characters newer than both.
//
// All functions but `valid_utf8` and `repair_utf8` want valid UTF-8.

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace tandem::text {

// Sets of code points, as bits.
enum CharSet : std::uint32_t {
  kLetter = 1u << 0,       // \p{L}
  kNumber = 1u << 1,       // \p{N}
  kSpace = 1u << 2,        // \s
  kWord = 1u << 3,         // \w
  kNumeric = 1u << 4,      // Digits
  kPunctuation = 1u << 5,  // BERT
  kBertMark = 1u << 6,     // BERT's strip_accents
  kBertControl = 1u << 7,  // BERT's clean_text removes it
  kHan = 1u << 8,          // BERT puts spaces around it
  kMark = 1u << 9,         // StripAccents
  kHasLower = 1u << 10,    // lower case is something else
  kMoved = 1u << 11,       // takes part in normal forms at all (see `kMoves*`)
  kMovesNfc = 1u << 12,    // a text without such characters is in NFC already
  kMovesNfd = 1u << 13,
  kMovesNfkc = 1u << 14,
  kMovesNfkd = 1u << 15,
};

namespace detail {
// Pages of 256 code points, made when one of them is met first.
using Page = std::array<std::uint16_t, 256>;
extern std::array<std::atomic<const Page*>, 0x1100> pages;
const Page& make_page(std::size_t number);
}  // namespace detail

// The sets that hold c.
inline std::uint32_t sets_of(char32_t c) noexcept {
  const std::size_t number = c >> 8;
  const detail::Page* page = detail::pages[number].load(std::memory_order_acquire);
  return (page != nullptr ? *page : detail::make_page(number))[c & 0xFF];
}

// Reads the code point at text[at] and steps over it.
inline char32_t next_char(std::string_view text, std::size_t& at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const char32_t first = byte(at);
  if (first < 0x80) {
    ++at;
    return first;
  }
  if (first < 0xE0) {
    at += 2;
    return (first & 0x1F) << 6 | (byte(at - 1) & 0x3Fu);
  }
  if (first < 0xF0) {
    at += 3;
    return (first & 0x0F) << 12 | (byte(at - 2) & 0x3Fu) << 6 | (byte(at - 1) & 0x3Fu);
  }
  at += 4;
  return (first & 0x07) << 18 | (byte(at - 3) & 0x3Fu) << 12 | (byte(at - 2) & 0x3Fu) << 6 |
         (byte(at - 1) & 0x3Fu);
}

// The code point that ends before text[at]; steps back over it. at > 0.
char32_t previous_char(std::string_view text, std::size_t& at) noexcept;

void append_char(std::string& out, char32_t c);

std::int64_t chars_in(std::string_view text) noexcept;

bool valid_utf8(std::string_view text) noexcept;
// Appends the text with U+FFFD for each maximal wrong piece (Unicode 3.9, table 3-7).
void repair_utf8(std::string_view text, std::string& out);

// Lower case of one character, one or two code points (U+0130 alone has two).
void append_lower(std::string& out, char32_t c);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
// Appends the normal form. O(n log n) also for megabytes of marks on one letter.
void append_normal_form(NormalForm form, std::string_view text, std::string& out);
// False: the text is in that form already. True: it may not be.
bool may_change(NormalForm form, std::string_view text) noexcept;

}  // namespace tandem::text
