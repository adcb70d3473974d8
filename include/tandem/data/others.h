#pragma once
// Texts of other pictures, for a loss that tells a picture's own text from them.

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/source.h"

namespace tandem::data {

// `count` texts, each of an evenly drawn sample of the whole source and one of those that it has;
// a text may come twice. A pure function of what is given. A sample of the same picture, without a
// text, or that cannot be read (training on it tells) is drawn anew. `sample` is as the source gave
// it. Throws Error(data) with its id where a hundred draws found none: a source of one picture.
std::vector<std::string> texts_of_others(const Source& source, const Sample& sample,
                                         std::int64_t count, Key key);

}  // namespace tandem::data
