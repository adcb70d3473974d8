#pragma once
// The picture of a sample as a small PNG, for what a person looks at.

#include <cstdint>
#include <string>

#include "tandem/data/source.h"

namespace tandem::eval {

// At most `side` pixels wide and high, upright as EXIF has it: that is how a person takes the
// picture, also where a model is shown it as it is stored. Throws Error(data) as reading and
// decoding do.
std::string thumbnail_png(const data::Source& source, std::int64_t index, int side);

}  // namespace tandem::eval
