#pragma once
// The letters that GPT-2 writes bytes with: those that print stand for themselves, the others, in
// order, for U+0100 and up (openai/gpt-2, src/encoder.py).

#include <array>
#include <string>
#include <string_view>

namespace tandem::text {

const std::array<char32_t, 256>& byte_letters();
// The byte of a letter, or -1.
int byte_of_letter(char32_t letter) noexcept;

void append_letters(std::string& out, std::string_view bytes);
// Appends the bytes of letters; false, with `out` as it was, when one stands for no byte.
bool append_bytes(std::string& out, std::string_view letters);

}  // namespace tandem::text
