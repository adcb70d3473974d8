#pragma once
// Encoded pictures to pixels, equal to Pillow's open(...).convert("RGB"): alpha is dropped,
// palettes are looked up, gray is repeated, CMYK is converted as Pillow does; of an animated WebP
// the first frame. JPEG, PNG and WebP are told apart by their first bytes, never by a file's name.
// decode() leaves EXIF's orientation alone, as open() does; decode_upright() follows it, as
// ImageOps.exif_transpose does.
//
// A broken file throws Error(data): truncated (of a PNG: before its end chunk is named whole, whose
// own checksum is not read), a wrong checksum (PNG), entropy data that do not
// decode (JPEG, WebP; a flipped bit that still decodes cannot be seen, they have no checksum).
// Memory is bounded by DecodeLimits before anything is allocated.

#include <cstdint>
#include <span>
#include <string>

#include "tandem/vision/image.h"

namespace tandem::vision {

enum class Encoding { unknown, jpeg, png, webp };

struct DecodeLimits {
  std::int64_t max_pixels = 100'000'000;
  int max_side = 65'500;  // JPEG's own limit
  int max_scans = 200;    // of a progressive JPEG: tiny files may ask for hours of work
};

struct PictureSize {
  int width = 0, height = 0;
};

Encoding sniff(std::span<const std::uint8_t> bytes) noexcept;

// `where` (a file's name, a sample's id) is put into the error.
Image decode(std::span<const std::uint8_t> bytes, const std::string& where = {},
             const DecodeLimits& limits = {});

// A JPEG at 1/2, 1/4 or 1/8 of each side (rounded up), which costs less than all its pixels and
// differs from a resized whole picture: see docs/data.md. reduction 1: as decode; so are other
// encodings.
Image decode_reduced(std::span<const std::uint8_t> bytes, int reduction,
                     const std::string& where = {}, const DecodeLimits& limits = {});

// EXIF's orientation, 1 to 8; 1 (as it is) where none is stated or what is stated does not parse.
int orientation(std::span<const std::uint8_t> bytes) noexcept;
// Turned and mirrored as that number asks for.
Image upright(Image image, int orientation);
// decode, then upright.
Image decode_upright(std::span<const std::uint8_t> bytes, const std::string& where = {},
                     const DecodeLimits& limits = {});

// From the header alone, as the pixels are stored.
PictureSize picture_size(std::span<const std::uint8_t> bytes, const std::string& where = {},
                         const DecodeLimits& limits = {});

}  // namespace tandem::vision
