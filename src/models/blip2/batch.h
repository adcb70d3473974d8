#pragma once
// From a captioned picture to what the encoders and the language model see.

#include <memory>

#include "tandem/models/model.h"

namespace tandem::models::blip2 {

// tokenizer: of the model. Throws Error(config) when there is none.
Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer);

}  // namespace tandem::models::blip2
