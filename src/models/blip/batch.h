#pragma once
// From a captioned picture to what the encoders see.

#include <memory>

#include "tandem/models/model.h"

namespace tandem::models::blip {

// In lower case, without . ! " ( ) * # : ; ~ (spaces in their place, or in a question nothing), the
// first words. Source: salesforce/BLIP:data/utils.py, pre_caption and pre_question.
std::string clean_text(const std::string& text, std::int64_t words, bool question = false);

// tokenizer: of the model. Throws Error(config) when there is none.
Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer);

}  // namespace tandem::models::blip
