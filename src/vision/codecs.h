#pragma once
// One pair of functions per encoding; decode.cpp chooses between them.

#include "tandem/vision/decode.h"

namespace tandem::vision {

using Bytes = std::span<const std::uint8_t>;

// Throws Error(data) when a picture of that size is over the limits.
void check_limits(std::int64_t width, std::int64_t height, const std::string& where,
                  const DecodeLimits& limits);

// reduction 2, 4, 8: half, a quarter, an eighth of each side, rounded up, by a smaller transform.
Image decode_jpeg(Bytes bytes, const std::string& where, const DecodeLimits& limits,
                  int reduction = 1);
PictureSize jpeg_size(Bytes bytes, const std::string& where, const DecodeLimits& limits);
Image decode_png(Bytes bytes, const std::string& where, const DecodeLimits& limits);
PictureSize png_size(Bytes bytes, const std::string& where, const DecodeLimits& limits);
Image decode_webp(Bytes bytes, const std::string& where, const DecodeLimits& limits);
PictureSize webp_size(Bytes bytes, const std::string& where, const DecodeLimits& limits);

}  // namespace tandem::vision
