// A PNG as it is, and with every chunk's checksum set right, so that changed chunks are looked
// into.

#include <zlib.h>

#include <vector>

#include "picture.h"

namespace {

std::uint32_t big_endian(const std::uint8_t* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 |
         at[3];
}

void set_checksums(std::vector<std::uint8_t>& png) {
  std::size_t at = 8;  // the signature
  while (at + 12 <= png.size()) {
    const std::size_t length = big_endian(&png[at]);
    if (length > png.size() - at - 12) return;
    const auto sum =
        static_cast<std::uint32_t>(crc32(0, &png[at + 4], static_cast<unsigned>(length + 4)));
    for (int i = 0; i < 4; ++i) {
      png[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    }
    at += 12 + length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tandem::fuzz::decode_picture({data, size});
  std::vector<std::uint8_t> repaired(data, data + size);
  set_checksums(repaired);
  tandem::fuzz::decode_picture(repaired);
  return 0;
}
