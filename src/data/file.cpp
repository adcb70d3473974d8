#include "data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/data/source.h"

namespace tandem::data {
namespace {

[[noreturn]] void bad_file(const std::string& path, const std::string& what) {
  throw Error(ErrorKind::data, "[data] " + what, path);
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) bad_file(path, std::string("cannot open: ") + std::strerror(errno));
  struct stat facts {};
  if (::fstat(descriptor_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    ::close(descriptor_);
    bad_file(path, "expected a regular file; got a folder, a pipe or a device");
  }
  size_ = facts.st_size;
  modified_ns_ = std::int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec;
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(std::int64_t offset, std::int64_t count, void* to) const {
  auto* at = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = ::pread(descriptor_, at, static_cast<std::size_t>(count), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) bad_file(path_, std::string("cannot read: ") + std::strerror(errno));
    if (got == 0) bad_file(path_, "ends at byte " + std::to_string(offset) + ": truncated");
    at += got;
    offset += got;
    count -= got;
  }
}

std::vector<std::uint8_t> InputFile::bytes(std::int64_t offset, std::int64_t count) const {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count));
  read(offset, count, bytes.data());
  return bytes;
}

std::vector<std::uint8_t> read_bytes(const std::string& path, std::int64_t limit) {
  const InputFile file(path);
  if (file.size() > limit) {
    bad_file(path, "expected at most " + std::to_string(limit) + " bytes; got " +
                       std::to_string(file.size()));
  }
  return file.bytes(0, file.size());
}

std::string read_text(const std::string& path, std::int64_t limit) {
  const std::vector<std::uint8_t> bytes = read_bytes(path, limit);
  return {bytes.begin(), bytes.end()};
}

std::vector<std::uint8_t> read_start(const std::string& path, std::int64_t count) {
  const InputFile file(path);
  return file.bytes(0, std::min(count, file.size()));
}

bool has_parent(std::string_view name) {
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

std::string refused_name(std::string_view name) {
  if (name.empty()) return "an empty name";
  if (name.size() > 4096) return "a name of " + std::to_string(name.size()) + " bytes";
  if (name.find('\0') != std::string_view::npos) return "a name with a NUL";
  if (name.front() == '/') return "an absolute name";
  if (has_parent(name)) return "a name with '..'";
  return {};
}

bool is_picture_name(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  const std::string extension = lower(name.substr(dot + 1));
  return extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "webp";
}

// Source: RFC 3629, section 4.
bool is_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || i + more >= text.size()) return false;
    const unsigned second = byte(i + 1);
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < low || second > high) return false;
    for (std::size_t k = 2; k <= more; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    i += more + 1;
  }
  return true;
}

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string hex(std::uint64_t value) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = digits[value & 15];
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

Picture picture_of_file(const std::string& path, std::string name, bool only_start) {
  Picture picture;
  picture.encoded =
      only_start ? read_start(path, Source::peek_bytes) : read_bytes(path, max_picture_bytes);
  picture.name = std::move(name);
  return picture;
}

}  // namespace tandem::data
