#include "tandem/data/text_lines.h"

#include <algorithm>

#include "data/rows.h"
#include "tandem/base/error.h"
#include "tandem/data/webdataset.h"

namespace tandem::data {
namespace {

struct Unit {
  std::uint32_t file = 0, rows = 1;
  std::int64_t first = 0;
};

class Text final : public Source {
 public:
  explicit Text(const TextSettings& settings) : paragraphs_(settings.unit == "paragraph") {
    std::uint64_t hash = hash64(settings.unit);
    for (const std::string& path : expand_braces(settings.path)) {
      files_.push_back(std::make_unique<Rows>(path, Rows::Form{}));
      const Rows& rows = *files_.back();
      hash = hash64(std::to_string(rows.hash()), hash);
      for (std::int64_t row = 0; row < rows.count(); ++row) {
        if (paragraphs_ && row > 0 && rows.line(row) == rows.line(row - 1) + 1) {
          ++units_.back().rows;
        } else {
          units_.push_back({static_cast<std::uint32_t>(files_.size() - 1), 1, row});
        }
      }
    }
    if (units_.empty()) {
      throw Error(ErrorKind::data, "[text] expected lines of text; got none", settings.path);
    }
    fingerprint_ = "text:" + std::to_string(units_.size()) + ":" + hex(hash);
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(units_.size()); }

  Sample read(std::int64_t index) const override {
    TANDEM_CHECK(index >= 0 && index < size(), "[text] an index out of range");
    const Unit& unit = units_[static_cast<std::size_t>(index)];
    const Rows& rows = *files_[unit.file];
    Sample sample;
    sample.id = rows.where(unit.first);
    sample.picture_id = static_cast<std::int64_t>(hash64(sample.id) >> 1);
    std::string text;
    for (std::int64_t row = unit.first; row < unit.first + unit.rows; ++row) {
      text += (text.empty() ? "" : "\n") + std::string(trimmed(rows.row(row)));
    }
    if (text.empty()) throw Error(ErrorKind::data, "[text] expected a text; got blanks", sample.id);
    sample.texts.push_back(std::move(text));
    return sample;
  }

  std::string fingerprint() const override { return fingerprint_; }

 private:
  bool paragraphs_;
  std::vector<std::unique_ptr<Rows>> files_{};
  std::vector<Unit> units_{};
  std::string fingerprint_{};
};

}  // namespace

void TextSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "the files: a{00..17}.txt counts, {x,y} lists", .required = true, .path = true});
  v.field("unit", unit,
          {.doc = "what a sample is; paragraphs end at an empty line",
           .choices = {"line", "paragraph"}});
}

std::unique_ptr<Source> open_text(const TextSettings& settings) {
  return std::make_unique<Text>(settings);
}

}  // namespace tandem::data
