#include "text/byte_level.h"

#include "text/unicode.h"

namespace tandem::text {

const std::array<char32_t, 256>& byte_letters() {
  static const std::array<char32_t, 256> letters = [] {
    std::array<char32_t, 256> made{};
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
      const bool prints = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
      made[byte] = prints ? byte : next++;
    }
    return made;
  }();
  return letters;
}

int byte_of_letter(char32_t letter) noexcept {
  static const std::array<std::int16_t, 0x144> bytes = [] {
    std::array<std::int16_t, 0x144> made{};
    made.fill(-1);
    for (std::size_t byte = 0; byte < 256; ++byte) {
      made[byte_letters()[byte]] = static_cast<std::int16_t>(byte);
    }
    return made;
  }();
  return letter < bytes.size() ? bytes[letter] : -1;
}

void append_letters(std::string& out, std::string_view bytes) {
  for (const char byte : bytes) append_char(out, byte_letters()[static_cast<unsigned char>(byte)]);
}

bool append_bytes(std::string& out, std::string_view letters) {
  const std::size_t before = out.size();
  for (std::size_t at = 0; at < letters.size();) {
    const int byte = byte_of_letter(next_char(letters, at));
    if (byte < 0) {
      out.resize(before);
      return false;
    }
    out.push_back(static_cast<char>(byte));
  }
  return true;
}

}  // namespace tandem::text
