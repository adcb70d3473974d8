#pragma once
// From a sample (a dialogue, a question, a caption, a preference) to what the model sees.

#include <memory>

#include "models/qwen2_vl/config.h"
#include "tandem/models/model.h"

namespace tandem::models::qwen2_vl {

// tokenizer: of the model. Throws Error(config) when there is none.
Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer);

}  // namespace tandem::models::qwen2_vl
