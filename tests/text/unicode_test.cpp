#include "text/unicode.h"

#include <catch2/catch.hpp>

#include "text/byte_level.h"

namespace unicode_test {

using namespace tandem::text;

namespace {

std::string form(NormalForm which, std::string_view text) {
  std::string out;
  append_normal_form(which, text, out);
  // The quick answer never misses a change.
  if (out != text) CHECK(may_change(which, text));
  return out;
}

std::string repaired(std::string_view text) {
  std::string out;
  repair_utf8(text, out);
  CHECK(valid_utf8(text) == (out == text));
  CHECK(valid_utf8(out));
  return out;
}

constexpr const char* kWrong = "\xEF\xBF\xBD";

std::string wrong(int count, const std::string& rest = "") {
  std::string out;
  while (count-- > 0) out += kWrong;
  return out + rest;
}

}  // namespace

TEST_CASE("wrong bytes become one U+FFFD for each maximal piece, as Python reads them") {
  CHECK(repaired("plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80") ==
        "plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80");
  CHECK(repaired("\xFF") == wrong(1));
  CHECK(repaired("\xF0\x9F\x98") == wrong(1));        // cut short
  CHECK(repaired("\xF0\x9F\x98z") == wrong(1, "z"));  // cut short by a letter
  CHECK(repaired("\xED\xA0\x80") == wrong(3));        // a surrogate
  CHECK(repaired("\xC0\xAF") == wrong(2));            // overlong
  CHECK(repaired("\xE0\x80\xAF") == wrong(3));        // overlong
  CHECK(repaired("\xF4\x90\x80\x80") == wrong(4));    // above U+10FFFF
  CHECK(repaired("\xF5\x80") == wrong(2));
  CHECK(repaired("\x80\xBF") == wrong(2));
  CHECK(repaired("\xE2\x82\xE2\x82\xAC") == wrong(1, "\xE2\x82\xAC"));
}

TEST_CASE("normal forms equal those of Unicode 9") {
  const std::string mixed = "e\u0327\u0301\u1e69 \u1100\u1161\u11a8 \ufb01\u2460\u212b";
  CHECK(form(NormalForm::nfc, mixed) == "\u0229\u0301\u1e69 \uac01 \ufb01\u2460\u00c5");
  CHECK(form(NormalForm::nfd, mixed) ==
        "e\u0327\u0301s\u0323\u0307 \u1100\u1161\u11a8 \ufb01\u2460A\u030a");
  CHECK(form(NormalForm::nfkc, mixed) == "\u0229\u0301\u1e69 \uac01 fi1\u00c5");
  CHECK(form(NormalForm::nfkd, mixed) ==
        "e\u0327\u0301s\u0323\u0307 \u1100\u1161\u11a8 fi1A\u030a");
  const std::string order = "q\u0307\u0323 \uac01\u11a8 \u0344";
  CHECK(form(NormalForm::nfc, order) == "q\u0323\u0307 \uac01\u11a8 \u0308\u0301");
  // Unicode 13 composes these two.
  CHECK(form(NormalForm::nfc, "\U00011935\U00011930") == "\U00011935\U00011930");
  CHECK_FALSE(may_change(NormalForm::nfc, "na\u00efve \uac01 \u4f60 text"));
}

TEST_CASE("lower case goes by characters") {
  std::string out;
  for (const char32_t c : std::u32string(U"\u0130\u03a3\u1c89\ua7dcS\u00df")) append_lower(out, c);
  CHECK(out == "i\u0307\u03c3\u1c8a\u019bs\u00df");
}

TEST_CASE("stepping back over characters finds the same ones") {
  const std::string text = "a\u00e9\u20ac\U0001F600z";
  std::vector<char32_t> forward, backward;
  for (std::size_t at = 0; at < text.size();) forward.push_back(next_char(text, at));
  for (std::size_t at = text.size(); at > 0;) backward.push_back(previous_char(text, at));
  CHECK(forward == std::vector<char32_t>{U'a', U'\u00e9', U'\u20ac', U'\U0001F600', U'z'});
  CHECK(std::vector(backward.rbegin(), backward.rend()) == forward);
}

TEST_CASE("every byte has a letter and comes back from it") {
  std::string bytes, letters, back;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  append_letters(letters, bytes);
  CHECK(valid_utf8(letters));
  CHECK(append_bytes(back, letters));
  CHECK(back == bytes);
  CHECK_FALSE(append_bytes(back, "a\u4f60"));
  CHECK(back == bytes);
}

}  // namespace unicode_test
