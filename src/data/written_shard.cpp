#include "tandem/data/written_shard.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

#include "tandem/base/error.h"
#include "tandem/vision/decode.h"
#include "tandem/vision/encode.h"

namespace tandem::data {
namespace {

constexpr std::size_t tar_block = 512;
constexpr std::size_t largest_member = (std::size_t{1} << 33) - 1;  // eleven octal digits

// `digits` octal digits; a NUL is behind them already.
void put_octal(char* at, int digits, std::uint64_t value) {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 8);
    value /= 8;
  }
}

std::array<char, tar_block> header_of(const std::string& name, std::size_t size) {
  std::array<char, tar_block> header{};
  std::copy(name.begin(), name.end(), header.begin());
  put_octal(&header[100], 7, 0644);  // mode
  put_octal(&header[108], 7, 0);     // owner
  put_octal(&header[116], 7, 0);     // group
  put_octal(&header[124], 11, size);
  put_octal(&header[136], 11, 0);  // time
  header[156] = '0';               // a regular file
  constexpr std::string_view magic(
      "ustar\0"
      "00",
      8);
  std::copy(magic.begin(), magic.end(), header.begin() + 257);
  std::fill_n(header.begin() + 148, 8, ' ');  // the sum is taken over spaces
  const unsigned sum = std::accumulate(
      header.begin(), header.end(), 0U,
      [](unsigned so_far, char c) { return so_far + static_cast<unsigned char>(c); });
  put_octal(&header[148], 6, sum);
  header[154] = 0;  // and a space
  return header;
}

const char* ending_of(const Picture& picture) {
  if (picture.encoded.empty()) return ".png";
  switch (vision::sniff(picture.encoded)) {
    case vision::Encoding::jpeg:
      return ".jpg";
    case vision::Encoding::png:
      return ".png";
    case vision::Encoding::webp:
      return ".webp";
    case vision::Encoding::unknown:
      break;
  }
  throw Error(ErrorKind::data, "[shards] expected a JPEG, a PNG or a WebP", picture.name);
}

}  // namespace

void ShardWriter::member(const std::string& name, std::string_view bytes) {
  TANDEM_CHECK(name.size() < 100, "[shards] expected a short name");
  if (bytes.size() > largest_member) {
    throw Error(ErrorKind::data, "[shards] expected a member below 8 GiB", name);
  }
  const std::array<char, tar_block> header = header_of(name, bytes.size());
  file_.write(header.data(), header.size());
  file_.write(bytes);
  const std::array<char, tar_block> zeros{};
  file_.write(zeros.data(), (tar_block - bytes.size() % tar_block) % tar_block);
}

void ShardWriter::add(const std::string& key, const Picture& picture, std::string_view text,
                      std::string_view json) {
  if (picture.encoded.empty()) {
    member(key + ending_of(picture), vision::encode_png(picture.pixels));
  } else {
    member(key + ending_of(picture),
           std::string_view(reinterpret_cast<const char*>(picture.encoded.data()),
                            picture.encoded.size()));
  }
  member(key + ".txt", text);
  member(key + ".json", json);
}

void ShardWriter::finish() {
  const std::array<char, 2 * tar_block> zeros{};
  file_.write(zeros.data(), zeros.size());
}

}  // namespace tandem::data
