#include "text/charsmap.h"

#include <unicode/uchar.h>

#include <cstring>

#include "tandem/base/error.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

// Bytes of the two sides of a rule: they bound what a place in a text may cost and become.
constexpr std::size_t kMaxRule = 64, kMaxText = 256;

bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFFu; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FFu; }
std::uint32_t offset_of(std::uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }

}  // namespace

CharsMap::CharsMap(std::string_view blob, const std::string& where) {
  if (blob.empty()) return;
  std::uint32_t size = 0;
  if (blob.size() > 4) std::memcpy(&size, blob.data(), 4);
  if (size == 0 || size % 4 != 0 || size >= blob.size() - 4) {
    throw Error(ErrorKind::data,
                "[text] expected a character map (its size, units of 4 bytes, texts); got " +
                    std::to_string(blob.size()) + " bytes that are none",
                where);
  }
  units_.resize(size / 4);
  std::memcpy(units_.data(), blob.data() + 4, size);
  texts_ = blob.substr(4 + size);
  if (!valid_utf8(texts_)) {
    throw Error(ErrorKind::data, "[text] expected a character map with texts in UTF-8; got others",
                where);
  }
  texts_.push_back('\0');
  std::size_t longest = 0;
  for (std::size_t at = 0; at < texts_.size(); at = texts_.find('\0', at) + 1) {
    longest = std::max(longest, texts_.find('\0', at) - at);
  }
  if (longest > kMaxText) {
    throw Error(ErrorKind::data,
                "[text] expected texts of at most " + std::to_string(kMaxText) +
                    " bytes in a character map; got " + std::to_string(longest),
                where);
  }
}

std::optional<CharsMap::Found> CharsMap::find(std::string_view text, bool longest) const {
  std::optional<Found> found;
  if (units_.empty()) return found;
  std::size_t node = offset_of(units_[0]);
  const std::size_t end = std::min(text.size(), kMaxRule);
  for (std::size_t i = 0; i < end; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size()) break;
    const std::uint32_t at = value_of(units_[node]);
    // In the middle of a character there is no text: the map is not one that SentencePiece made.
    if (at >= texts_.size() || (static_cast<unsigned char>(texts_[at]) & 0xC0) == 0x80) break;
    found = Found{i + 1, std::string_view(texts_.data() + at)};
    if (!longest) break;
  }
  return found;
}

std::size_t grapheme_length(std::string_view text, std::size_t at) {
  const auto kind_of = [](char32_t c) {
    return static_cast<UGraphemeClusterBreak>(
        u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK));
  };
  const auto pictographic = [](char32_t c) {
    return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC) != 0;
  };
  std::size_t end = at;
  const char32_t first = next_char(text, end);
  UGraphemeClusterBreak kind = kind_of(first);
  bool picture = pictographic(first);  // a picture, and only what extends it since then
  bool odd_flag = kind == U_GCB_REGIONAL_INDICATOR;
  while (end < text.size()) {
    std::size_t after = end;
    const char32_t c = next_char(text, after);
    const UGraphemeClusterBreak next = kind_of(c);
    const bool control_before = kind == U_GCB_CONTROL || kind == U_GCB_CR || kind == U_GCB_LF;
    const bool control = next == U_GCB_CONTROL || next == U_GCB_CR || next == U_GCB_LF;
    bool joined;
    if (control_before || control) {
      joined = kind == U_GCB_CR && next == U_GCB_LF;
    } else {
      joined = (kind == U_GCB_L &&
                (next == U_GCB_L || next == U_GCB_V || next == U_GCB_LV || next == U_GCB_LVT)) ||
               ((kind == U_GCB_LV || kind == U_GCB_V) && (next == U_GCB_V || next == U_GCB_T)) ||
               ((kind == U_GCB_LVT || kind == U_GCB_T) && next == U_GCB_T) ||
               next == U_GCB_EXTEND || next == U_GCB_ZWJ || next == U_GCB_SPACING_MARK ||
               kind == U_GCB_PREPEND || (picture && kind == U_GCB_ZWJ && pictographic(c)) ||
               (odd_flag && next == U_GCB_REGIONAL_INDICATOR);
    }
    if (!joined) break;
    picture = pictographic(c) || (picture && (next == U_GCB_EXTEND || next == U_GCB_ZWJ));
    odd_flag = next == U_GCB_REGIONAL_INDICATOR && !odd_flag;
    kind = next;
    end = after;
  }
  return end - at;
}

void append_precompiled(const CharsMap& map, std::string_view text, std::string& out) {
  constexpr std::size_t kSmall = 6;
  const auto plain = [](char c) { return static_cast<unsigned char>(c) < 0x80 && c != '\r'; };
  for (std::size_t at = 0; at < text.size();) {
    // Most of a text: a character of ASCII with another one behind it is a cluster.
    const bool alone = plain(text[at]) && (at + 1 == text.size() || plain(text[at + 1]));
    const std::size_t length = alone ? 1 : grapheme_length(text, at);
    const std::string_view cluster = text.substr(at, length);
    at += length;
    if (length < kSmall) {
      if (const auto found = map.shortest(cluster)) {
        out += found->replacement;
        continue;
      }
      if (alone) {
        out += cluster;
        continue;
      }
    }
    for (std::size_t i = 0; i < length;) {
      const std::size_t begin = i;
      next_char(cluster, i);
      const std::string_view one = cluster.substr(begin, i - begin);
      const auto found = map.shortest(one);
      out += found ? found->replacement : one;
    }
  }
}

}  // namespace tandem::text
