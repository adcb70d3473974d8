#include "tandem/report/tensorboard.h"

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "tandem/base/error.h"

namespace tandem::report {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}

template <class T>
std::string little_endian(T value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}

// Protobuf's four kinds of fields that an Event needs.
std::string key(int field, int type) {
  return varint(static_cast<std::uint64_t>(field) * 8 + static_cast<std::uint64_t>(type));
}
std::string whole(int field, std::int64_t value) {
  return key(field, 0) + varint(static_cast<std::uint64_t>(value));
}
std::string real64(int field, double value) { return key(field, 1) + little_endian(value); }
std::string bytes_of(int field, std::string_view value) {
  return key(field, 2) + varint(value.size()) + std::string(value);
}
std::string real32(int field, float value) { return key(field, 5) + little_endian(value); }

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string tag_of(std::string name) {
  const std::size_t dot = name.find('.');
  if (dot != std::string::npos) name[dot] = '/';
  return name;
}

constexpr std::string_view prefix = "events.out.tfevents.", suffix = ".tandem";

// The seconds in the name of the newest file here; 0 without one.
std::int64_t newest_time(const std::filesystem::path& directory) {
  std::int64_t newest = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    newest = std::max<std::int64_t>(newest, std::atoll(name.c_str() + prefix.size()));
  }
  return newest;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr auto table = crc_table();
  std::uint32_t value = 0xffffffffu;
  for (const char c : bytes) {
    value = table[(value ^ static_cast<unsigned char>(c)) & 0xffu] ^ (value >> 8);
  }
  return value ^ 0xffffffffu;
}

std::uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

std::string tf_record(std::string_view bytes) {
  const std::string length = little_endian(static_cast<std::uint64_t>(bytes.size()));
  return length + little_endian(masked_crc32c(length)) + std::string(bytes) +
         little_endian(masked_crc32c(bytes));
}

EventFile::EventFile(const std::filesystem::path& directory, std::int64_t last_step) {
  const std::int64_t seconds =
      std::max(static_cast<std::int64_t>(now()), newest_time(directory) + 1);
  path_ = directory / (std::string(prefix) + std::to_string(seconds) + std::string(suffix));
  out_.open(path_, std::ios::binary | std::ios::trunc);
  if (!out_)
    throw Error(ErrorKind::io, "[tensorboard] cannot be opened for writing", path_.string());
  write(real64(1, now()) + bytes_of(3, "brain.Event:2"));
  // SessionLog{status: START} at the first step that this start may write.
  write(real64(1, now()) + whole(2, last_step + 1) + bytes_of(7, whole(1, 1)));
}

void EventFile::add(const Row& row) {
  std::string values;
  for (const auto& [name, value] : row.values) {
    values += bytes_of(1, bytes_of(1, tag_of(name)) + real32(2, static_cast<float>(value)));
  }
  write(real64(1, now()) + whole(2, row.step) + bytes_of(5, values));
}

void EventFile::write(const std::string& event) {
  out_ << tf_record(event) << std::flush;
  if (!out_) throw Error(ErrorKind::io, "[tensorboard] cannot be written", path_.string());
}

}  // namespace tandem::report
