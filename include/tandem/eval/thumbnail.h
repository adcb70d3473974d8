#pragma once
// The picture of a sample as a small PNG, for what a person looks at.

#include <cstdint>
#include <string>

#include "tandem/data/source.h"

namespace tandem::eval {

// At most `side` pixels wide and high. Throws Error(data) as reading and decoding do.
std::string thumbnail_png(const data::Source& source, std::int64_t index, int side);

}  // namespace tandem::eval
