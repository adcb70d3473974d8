#include "models/settings.h"

namespace tandem::models {

void check_heads(Problems& found, const std::string& field, std::int64_t width,
                 std::int64_t heads) {
  if (heads <= 0 || width % heads == 0) return;
  found.emplace_back(field, "expected a divisor of width " + std::to_string(width) + "; got " +
                                std::to_string(heads));
}

void view_fields(FieldVisitor& visitor, vision::ImageSettings& image,
                 vision::AugmentSettings& augment) {
  visitor.block("image", {.doc = "how pictures are made to fit"},
                [&](FieldVisitor& inner) { vision::fields(inner, image); });
  visitor.block("augment", {.doc = "the view in training"},
                [&](FieldVisitor& inner) { vision::fields(inner, augment); });
}

void expect_rows(std::int64_t rows, const text::Tokenizer& tokenizer, const std::string& field) {
  if (rows >= tokenizer.vocab_size()) return;
  throw Error(ErrorKind::config, "[models] expected " + field + " of at least the tokenizer's " +
                                     std::to_string(tokenizer.vocab_size()) + "; got " +
                                     std::to_string(rows));
}

}  // namespace tandem::models
