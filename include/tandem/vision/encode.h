#pragma once
// Pixels to a PNG, for what a person looks at (pages, samples). No colour profile, no time: equal
// pictures give equal bytes.

#include <string>

#include "tandem/vision/image.h"

namespace tandem::vision {

// Throws Error(internal) where libspng does.
std::string encode_png(const Image& image);

// At most `side` pixels wide and high, in its own proportions; one that is small already stays.
Image thumbnail(const Image& image, int side);

}  // namespace tandem::vision
