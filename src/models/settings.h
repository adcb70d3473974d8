#pragma once
// What the families' settings share.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/base/fields.h"
#include "tandem/text/tokenizer.h"
#include "tandem/vision/transform.h"

namespace tandem::models {

template <class Config>
const Config& settings_as(const Settings& settings) {
  const auto* config = dynamic_cast<const Config*>(&settings);
  TANDEM_CHECK(config != nullptr, "[models] settings of another family");
  return *config;
}

// (field, what is wrong) of what no single field's range can say.
using Problems = std::vector<std::pair<std::string, std::string>>;

// heads must divide width. field: "vision.heads".
void check_heads(Problems& found, const std::string& field, std::int64_t width, std::int64_t heads);

// The blocks `image` and `augment`.
void view_fields(FieldVisitor& visitor, vision::ImageSettings& image,
                 vision::AugmentSettings& augment);

// Throws Error(config) where the tokenizer has more tokens. field: "model.text.vocab_size".
void expect_rows(std::int64_t rows, const text::Tokenizer& tokenizer, const std::string& field);

}  // namespace tandem::models
