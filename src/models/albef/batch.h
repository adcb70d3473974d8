#pragma once
// From a captioned picture to what ALBEF sees.

#include <memory>
#include <string>

#include "models/albef/config.h"
#include "tandem/models/model.h"

namespace tandem::models::albef {

// The original's pre_caption: lower case, without , . ' ! ? " ( ) * # : ; ~, a space for - and /,
// at most `words` words. Works on bytes: what is no ASCII stays.
std::string clean_caption(const std::string& caption, std::int64_t words);

// tokenizer: of the model. Throws Error(config) when there is none or it has no [MASK].
Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer);

}  // namespace tandem::models::albef
