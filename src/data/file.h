#pragma once
// Reading whole files and parts of them, with errors that name the file.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/data/sample.h"

namespace tandem::data {

class InputFile {
 public:
  explicit InputFile(const std::string& path);  // Error(data) when it cannot be opened
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::int64_t size() const { return size_; }
  std::int64_t modified_ns() const { return modified_ns_; }
  // Exactly `count` bytes from `offset`; Error(data) when the file ends before.
  void read(std::int64_t offset, std::int64_t count, void* to) const;
  std::vector<std::uint8_t> bytes(std::int64_t offset, std::int64_t count) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::int64_t size_ = 0, modified_ns_ = 0;
};

// Error(data) when it is larger than `limit`.
std::vector<std::uint8_t> read_bytes(const std::string& path, std::int64_t limit);
std::string read_text(const std::string& path, std::int64_t limit);
// Its first bytes, at most `count`.
std::vector<std::uint8_t> read_start(const std::string& path, std::int64_t count);

bool has_parent(std::string_view name);  // a part of it is ".."
// Why a picture of this name cannot lie in a data set's folder (absolute, `..`, NUL, too long,
// ...); empty when it can.
std::string refused_name(std::string_view name);
bool is_utf8(std::string_view text) noexcept;
bool is_picture_name(std::string_view name);  // .jpg, .jpeg, .png, .webp

// A picture as it stands in its file, or only the start that a peek needs (Source::peek_bytes).
// `name`: of the file below the source's folder.
Picture picture_of_file(const std::string& path, std::string name, bool only_start);
constexpr std::int64_t max_picture_bytes = std::int64_t{256} << 20;

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);
std::string hex(std::uint64_t value);
std::string lower(std::string_view text);            // ASCII
std::string_view first_line(std::string_view text);  // without \r
std::string_view trimmed(std::string_view text);     // of ASCII spaces

}  // namespace tandem::data
