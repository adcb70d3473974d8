#pragma once
// A folder of pictures without captions, with all folders below it, in the order of their names:
// what a gallery is made of.

#include <memory>
#include <string>

#include "tandem/data/source.h"

namespace tandem::data {

// Sample.id is the path from the folder. Throws Error(data) where there is none.
std::unique_ptr<Source> open_pictures(const std::string& folder);

}  // namespace tandem::data
