#pragma once
// From a captioned picture, a picture alone or a text alone to what the transformer sees.

#include <memory>

#include "tandem/models/model.h"

namespace tandem::models::vlmo {

// tokenizer: of the model. Throws Error(config) when there is none, or none with [MASK] where the
// model has the part mlm.
Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer);

}  // namespace tandem::models::vlmo
