#pragma once
// A picture: its header alone says the size that decoding finds.

#include "../support.h"
#include "tandem/vision/decode.h"

namespace tandem::fuzz {

inline void decode_picture(std::span<const std::uint8_t> bytes) {
  const vision::DecodeLimits limits{.max_pixels = 1 << 20, .max_side = 4096, .max_scans = 20};
  accepted([&] {
    const vision::Image image = vision::decode(bytes, "fuzz", limits);
    require(image.rgb.size() == std::size_t{3} * static_cast<std::size_t>(image.width) *
                                    static_cast<std::size_t>(image.height),
            "three bytes a pixel");
    const vision::PictureSize size = vision::picture_size(bytes, "fuzz", limits);
    require(size.width == image.width && size.height == image.height, "the size of the header");
  });
}

}  // namespace tandem::fuzz
