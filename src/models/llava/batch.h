#pragma once
// From a dialogue with pictures to what the model sees.

#include <memory>

#include "tandem/models/model.h"

namespace tandem::models::llava {

// tokenizer: of the model. Throws Error(config) when there is none.
Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer);

}  // namespace tandem::models::llava
