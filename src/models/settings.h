#pragma once
// What the families' settings share.

#include <cstdint>
#include <initializer_list>
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

// The settings of pictures for a tower that sees `size` pixels a side.
vision::ImageSettings sized(vision::ImageSettings image, std::int64_t size);

// The id of the first of these tokens that the tokenizer has; -1: it has none.
std::int64_t first_token(const text::Tokenizer& tokenizer,
                         std::initializer_list<const char*> names);

// A vocabulary's rows: `least` where they are open (0), the tokenizer's and the marks'. Throws
// Error(config) for fewer. field: "model.text.vocab_size".
void fit_rows(std::int64_t& rows, std::int64_t least, const std::string& field);

// Ids of marks: one that the tokenizer does not have gets a row behind all others.
class MarkRows {
 public:
  explicit MarkRows(const text::Tokenizer& tokenizer);
  // A known id (0 or more) stays.
  void take(std::int64_t& id, std::initializer_list<const char*> names);
  std::int64_t count() const { return next_; }  // rows of tokens and marks

 private:
  const text::Tokenizer& tokenizer_;
  std::int64_t next_;
};

// Ids that are not below vocab_size (0: it is open) stand wrong. block: "text.".
void check_ids(Problems& found, const std::string& block, std::int64_t vocab_size,
               std::initializer_list<std::pair<const char*, std::int64_t>> ids);

// A closed list of answers: sets how many labels there are, where the config left it open (0).
// Throws Error(config) where it says another number.
void fit_labels(std::int64_t& labels, const std::vector<std::string>& answers);

// Throws Error(config) where the tokenizer has more tokens. field: "model.text.vocab_size".
void expect_rows(std::int64_t rows, const text::Tokenizer& tokenizer, const std::string& field);

}  // namespace tandem::models
