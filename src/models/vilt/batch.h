#pragma once
// From a captioned picture to words and patches.

#include <memory>

#include "tandem/models/model.h"

namespace tandem::models::vilt {

// Width and height of the view of a picture: the shorter side to `size`, the longer one at most
// floor(1333/800 size), both cut to a multiple (and at least one).
std::pair<int, int> view_size(int width, int height, std::int64_t size, std::int64_t multiple);

// tokenizer: of the model. Throws Error(config) when there is none.
Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer);

}  // namespace tandem::models::vilt
