#include "data/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "tandem/base/error.h"

namespace tandem::data {
namespace {

constexpr std::int64_t block = 512;
constexpr std::int64_t max_extended = 1 << 20;  // bytes of a long name or of pax records

using Header = unsigned char;

bool is_zero(const unsigned char* bytes, std::int64_t count) {
  return std::all_of(bytes, bytes + count, [](unsigned char byte) { return byte == 0; });
}

// A field of octal digits, padded with spaces or zeros; nullopt when it is something else.
std::optional<std::int64_t> octal(const Header* at, std::size_t length) {
  std::size_t i = 0;
  while (i < length && at[i] == ' ') ++i;
  std::int64_t value = 0;
  bool any = false;
  for (; i < length && at[i] >= '0' && at[i] <= '7'; ++i) {
    value = value * 8 + (at[i] - '0');
    any = true;
  }
  for (; i < length; ++i) {
    if (at[i] != ' ' && at[i] != 0) return {};
  }
  return any ? std::optional(value) : std::nullopt;
}

// Sizes from 8 GiB on are big-endian binary with the first bit set (GNU).
std::optional<std::int64_t> number(const Header* at, std::size_t length) {
  if ((at[0] & 0x80) == 0) return octal(at, length);
  if (at[0] != 0x80) return {};  // negative, or past 88 bits
  std::uint64_t value = 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (value >> 55 != 0) return {};
    value = value << 8 | at[i];
  }
  return static_cast<std::int64_t>(value);
}

// The sum over the header, its own field read as spaces; old writers summed signed bytes.
bool checksum_is_right(const Header* header) {
  const auto stated = octal(header + 148, 8);
  if (!stated) return false;
  std::int64_t sum = 0, signed_sum = 0;
  for (int i = 0; i < block; ++i) {
    const unsigned char byte = i >= 148 && i < 156 ? ' ' : header[i];
    sum += byte;
    signed_sum += static_cast<signed char>(byte);
  }
  return *stated == sum || *stated == signed_sum;
}

std::string text(const Header* at, std::size_t length) {
  const auto* chars = reinterpret_cast<const char*>(at);
  return {chars, strnlen(chars, length)};
}

// What cannot be read as a file of its own, by the type flag; empty for what can.
std::string refused_kind(char type) {
  switch (type) {
    case '1':
      return "a hard link";
    case '2':
      return "a symbolic link";
    case '3':
    case '4':
      return "a device";
    case '6':
      return "a pipe";
    case 'S':
      return "a sparse file";
    case 'M':
      return "a part of another volume's file";
    case '\0':
    case '0':
    case '7':
      return "";
    default:
      return std::string("a member of the unknown type '") + type + "'";
  }
}

}  // namespace

void TarReader::fail(const std::string& what) const {
  throw Error(ErrorKind::data, "[tar] " + what, path_ + " at byte " + std::to_string(start_));
}

// False at the end mark.
bool TarReader::read_header(Header* header) {
  start_ = at_;
  if (at_ == file_.size()) fail("truncated: the file ends without the end mark");
  if (file_.size() - at_ < block) fail("truncated: the file ends within a header");
  file_.read(at_, block, header);
  at_ += block;
  if (is_zero(header, block)) {
    check_rest_is_empty();
    return false;
  }
  if (!checksum_is_right(header)) fail("wrong checksum of a header");
  return true;
}

void TarReader::check_rest_is_empty() const {
  std::vector<unsigned char> rest(1 << 16);
  for (std::int64_t at = at_; at < file_.size();) {
    const auto count = std::min<std::int64_t>(file_.size() - at, 1 << 16);
    file_.read(at, count, rest.data());
    if (!is_zero(rest.data(), count)) {
      fail("expected nothing behind the end mark; got more bytes (tars joined by cat?)");
    }
    at += count;
  }
}

void TarReader::skip(std::int64_t size) {
  const std::int64_t left = file_.size() - at_;
  if (size > left) {
    fail("truncated: a member of " + std::to_string(size) + " bytes where the file has " +
         std::to_string(left) + " more");
  }
  at_ += std::min((size + block - 1) / block * block, left);
}

std::string TarReader::contents(std::int64_t size) const {
  if (size > max_extended) fail("an extended header of " + std::to_string(size) + " bytes");
  if (size > file_.size() - at_) fail("truncated: the file ends within an extended header");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  file_.read(at_, size, bytes.data());
  return bytes;
}

// Lines of LENGTH KEY=VALUE, the length counting the whole line.
void TarReader::read_pax(const std::string& records, Extended& extended) const {
  std::string_view rest = records;
  while (!rest.empty() && rest.front() != '\0') {
    std::size_t length = 0;
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<std::size_t>(end - rest.data());
    if (code != std::errc() || length > rest.size() || length < digits + 3 || rest[digits] != ' ' ||
        rest[length - 1] != '\n') {
      fail("broken pax records");
    }
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    rest.remove_prefix(length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) fail("broken pax records");
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key.starts_with("GNU.sparse")) fail("expected plain files; got a sparse file");
    if (key == "path") extended.name = std::string(value);
    if (key == "size") {
      std::int64_t size = 0;
      const auto [stop, wrong] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (wrong != std::errc() || stop != value.data() + value.size() || size < 0) {
        fail("broken pax size");
      }
      extended.size = size;
    }
  }
}

TarMember TarReader::member_of(const Header* header, std::int64_t size, Extended& extended) const {
  TarMember member;
  member.offset = at_;
  member.size = size;
  if (extended.name) {
    member.name = *extended.name;
  } else {
    member.name = text(header, 100);
    const bool posix = std::memcmp(header + 257, "ustar\0", 6) == 0;
    const std::string prefix = posix ? text(header + 345, 155) : "";
    if (!prefix.empty()) member.name = prefix + "/" + member.name;
  }
  while (member.name.starts_with("./")) member.name.erase(0, 2);
  return member;
}

std::optional<TarMember> TarReader::next() {
  std::array<Header, block> header{};
  Extended extended;
  bool is_extended = false;
  while (true) {
    if (!read_header(header.data())) {
      if (is_extended) fail("an extended header without its member");
      return {};
    }
    const auto stated = number(header.data() + 124, 12);
    if (!stated || *stated < 0) fail("a size that is not a number");
    const auto type = static_cast<char>(header[156]);
    if (type == 'x' || type == 'L') {
      const std::string bytes = contents(*stated);
      if (type == 'x') read_pax(bytes, extended);
      if (type == 'L') extended.name = bytes.substr(0, bytes.find('\0'));
      is_extended = true;
    }
    if (type == 'x' || type == 'L' || type == 'K' || type == 'g' || type == 'V') {
      skip(*stated);  // of a link's long name, global remarks, a label
      continue;
    }
    const std::int64_t size = extended.size.value_or(*stated);
    TarMember member = member_of(header.data(), size, extended);
    const bool old_directory = (type == '\0' || type == '0') && member.name.ends_with('/');
    if (type == '5' || old_directory) {
      extended = {};
      is_extended = false;
      continue;
    }
    const std::string refused = refused_kind(type);
    if (!refused.empty()) fail("expected plain files; got " + refused + ": '" + member.name + "'");
    if (member.name.empty()) fail("a member without a name");
    if (member.name.front() == '/' || has_parent(member.name)) {
      fail("expected a name below the tar; got '" + member.name + "'");
    }
    skip(size);
    return member;
  }
}

}  // namespace tandem::data
