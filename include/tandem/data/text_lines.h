#pragma once
// Plain text without pictures: a sample is a line, or a paragraph (lines up to an empty one).

#include <memory>
#include <string>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct TextSettings final : Settings {
  std::string path{};  // files: a{00..17}.txt
  std::string unit = "line";

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): a file that cannot be read, no text in any of them.
std::unique_ptr<Source> open_text(const TextSettings& settings);

}  // namespace tandem::data
