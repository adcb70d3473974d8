#include "models/settings.h"

#include <algorithm>

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

vision::ImageSettings sized(vision::ImageSettings image, std::int64_t size) {
  image.size = size;
  return image;
}

std::int64_t first_token(const text::Tokenizer& tokenizer,
                         std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const auto id = tokenizer.id_of(name)) return *id;
  }
  return -1;
}

void fit_rows(std::int64_t& rows, std::int64_t least, const std::string& field) {
  if (rows == 0) rows = least;
  if (rows >= least) return;
  throw Error(ErrorKind::config,
              "[models] expected " + field + " of at least " + std::to_string(least) +
                  ", the tokenizer's and the marks'; got " + std::to_string(rows));
}

MarkRows::MarkRows(const text::Tokenizer& tokenizer)
    : tokenizer_(tokenizer), next_(tokenizer.vocab_size()) {}

void MarkRows::take(std::int64_t& id, std::initializer_list<const char*> names) {
  if (id < 0) id = first_token(tokenizer_, names);
  if (id < 0) id = next_;
  next_ = std::max(next_, id + 1);
}

void check_ids(Problems& found, const std::string& block, std::int64_t vocab_size,
               std::initializer_list<std::pair<const char*, std::int64_t>> ids) {
  if (vocab_size <= 0) return;
  for (const auto& [name, id] : ids) {
    if (id >= vocab_size) found.emplace_back(block + name, "expected an id below vocab_size");
  }
}

void fit_labels(std::int64_t& labels, const std::vector<std::string>& answers) {
  const auto count = static_cast<std::int64_t>(answers.size());
  if (labels > 0 && labels != count) {
    throw Error(ErrorKind::config, "[models] expected as many answers as model.labels, " +
                                       std::to_string(labels) + "; got a list of " +
                                       std::to_string(count));
  }
  labels = count;
}

void expect_rows(std::int64_t rows, const text::Tokenizer& tokenizer, const std::string& field) {
  if (rows >= tokenizer.vocab_size()) return;
  throw Error(ErrorKind::config, "[models] expected " + field + " of at least the tokenizer's " +
                                     std::to_string(tokenizer.vocab_size()) + "; got " +
                                     std::to_string(rows));
}

}  // namespace tandem::models
