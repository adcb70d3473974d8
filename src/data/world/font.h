#pragma once
// Our own 5 x 7 font: capitals, digits, some punctuation. Private to the world.

#include <array>
#include <cstdint>

namespace tandem::data::world {

inline constexpr int kGlyphWidth = 5, kGlyphHeight = 7;

using Glyph = std::array<std::uint8_t, kGlyphHeight>;  // rows from the top, bit 4 is leftmost

// A character that the font lacks is drawn as a full block, so that it is seen.
const Glyph& glyph_of(char character);

}  // namespace tandem::data::world
