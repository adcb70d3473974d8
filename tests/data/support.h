#pragma once
// What the tests of this room share: folders that go away, files, pictures encoded for real, tars.

#include <spng.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "../support/errors.h"
#include "../support/jpeg.h"
#include "../support/temporary.h"
#include "tandem/base/error.h"
#include "tandem/vision/image.h"

namespace tandem::test {

class TempDir {
 public:
  std::string operator/(const std::string& name) const { return (directory_ / name).string(); }
  std::string path() const { return directory_.path().string(); }

  // Gives the path.
  std::string write(const std::string& name, const std::string& bytes) const {
    const std::filesystem::path path = directory_ / name;
    std::filesystem::create_directories(path.parent_path());
    testing::put_file(path, bytes);
    return path.string();
  }

 private:
  testing::TemporaryDirectory directory_;
};

// A picture whose pixels depend on `seed`.
inline vision::Image pattern(int width, int height, int seed) {
  vision::Image image = vision::make_image(width, height);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) {
    image.rgb[i] = static_cast<std::uint8_t>((i / 3 % static_cast<std::size_t>(width)) * 5 +
                                             i % 3 * 40 + static_cast<std::size_t>(seed) * 31 +
                                             i / static_cast<std::size_t>(3 * width) * 3);
  }
  return image;
}

inline std::string png_of(const vision::Image& image) {
  spng_ctx* png = spng_ctx_new(SPNG_CTX_ENCODER);
  spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{};
  header.width = static_cast<std::uint32_t>(image.width);
  header.height = static_cast<std::uint32_t>(image.height);
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
  spng_set_ihdr(png, &header);
  REQUIRE(spng_encode_image(png, image.rgb.data(), image.rgb.size(), SPNG_FMT_PNG,
                            SPNG_ENCODE_FINALIZE) == 0);
  std::size_t size = 0;
  int code = 0;
  void* bytes = spng_get_png_buffer(png, &size, &code);
  REQUIRE(bytes != nullptr);
  std::string out(static_cast<const char*>(bytes), size);
  std::free(bytes);
  spng_ctx_free(png);
  return out;
}

// Sets the checksum of the header at `at`.
inline void sign_tar_header(std::string& tar, std::size_t at = 0) {
  std::memset(&tar[at + 148], ' ', 8);
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[at + i]);
  std::snprintf(&tar[at + 148], 7, "%06o", sum);
}

// One member with its ustar header, padded to whole blocks.
inline std::string tar_member(const std::string& name, const std::string& bytes, char type = '0') {
  std::string block(512, '\0');
  std::memcpy(block.data(), name.data(), std::min<std::size_t>(name.size(), 100));
  std::memcpy(&block[100], "0000644", 7);
  std::snprintf(&block[124], 12, "%011llo", static_cast<unsigned long long>(bytes.size()));
  block[156] = type;
  std::memcpy(&block[257],
              "ustar\0"
              "00",
              8);
  sign_tar_header(block);
  block += bytes;
  block.resize((block.size() + 511) / 512 * 512);
  return block;
}

inline std::string tar_end() { return std::string(1024, '\0'); }

}  // namespace tandem::test
