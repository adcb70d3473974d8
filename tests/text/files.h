#pragma once
// Folders with tokenizer files of other kinds than tokenizer.json, for tests.

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace tandem::text::testing {

struct Folder {
  Folder()
      : path(std::filesystem::temp_directory_path() /
             ("tandem_text_files_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
  std::filesystem::path path;
};

// ---- parts of a SentencePiece model, a protocol buffer ----

inline std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes.push_back(static_cast<char>(value | 128));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

inline std::string field(std::uint64_t number, const std::string& bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}

inline std::string number(std::uint64_t field, std::uint64_t value) {
  return varint(field << 3) + varint(value);
}

inline std::string piece(const std::string& text, float score, int type = 1) {
  std::string bits(4, '\0');
  std::memcpy(bits.data(), &score, 4);
  return field(
      1, field(1, text) + varint(2 << 3 | 5) + bits + number(3, static_cast<std::uint64_t>(type)));
}

// kind: 1 Unigram, 2 BPE.
inline std::string trainer(int kind) {
  return field(2, number(3, static_cast<std::uint64_t>(kind)));
}
inline std::string normalizer(bool prefix, bool removes) {
  return field(3, number(3, prefix) + number(4, removes));
}

// ---- qwen.tiktoken ----

// A line for each of the 256 bytes.
inline std::string tiktoken_bytes() {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string lines;
  for (unsigned byte = 0; byte < 256; ++byte) {
    lines += std::string{letters[byte >> 2], letters[byte << 4 & 63]} +
             "== " + std::to_string(byte) + "\n";
  }
  return lines;
}

}  // namespace tandem::text::testing
