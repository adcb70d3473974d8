#pragma once
// The operations of RandAugment's variants: tables of a name and a function.

#include <span>
#include <string>

#include "tandem/vision/image.h"

namespace tandem::vision {

struct AugmentOp {
  std::string name{};
  // strength: magnitude / most, in [0, 1]. negative: the other direction.
  Image (*apply)(const Image&, double strength, bool negative) = nullptr;
  bool by_default = true;
};

std::span<const AugmentOp> lavis_ops();
std::span<const AugmentOp> vilt_ops();

// What both have: each byte through a table; one table a channel.
using ByteTable = std::uint8_t[256];
Image through_table(const Image& image, const ByteTable& table);
Image auto_contrast(const Image& image);  // ImageOps.autocontrast
Image equalize(const Image& image);       // ImageOps.equalize

}  // namespace tandem::vision
