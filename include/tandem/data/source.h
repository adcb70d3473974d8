#pragma once
// A source of samples: a size, and O(1) reading by index (DESIGN 3, decision 2). Wrappers compose.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/data/sample.h"

namespace tandem::data {

// Something wrong that a source knows of: a row of a file, a picture that is not there.
struct Finding {
  std::string where{};  // FILE:LINE, FILE at byte N, a sample's id
  std::string what{};
};

class Source {
 public:
  virtual ~Source() = default;
  virtual std::int64_t size() const = 0;
  // Pure and thread-safe. A sample that cannot be read throws Error(data) with its id in where():
  // the loader records it and draws another.
  virtual Sample read(std::int64_t index) const = 0;
  // What stands in the manifest: a change of the data is named on resume.
  virtual std::string fingerprint() const = 0;

  // As read(), but an encoded picture may be cut after its first bytes, which hold most headers,
  // and one that would be drawn is left out: what `tandem check` and the training of a tokenizer
  // read.
  virtual Sample peek(std::int64_t index) const { return read(index); }
  static constexpr std::int64_t peek_bytes = 16 << 10;
  // The closed list that labels of answers are places in; empty where answers are free text.
  virtual std::vector<std::string> answers() const { return {}; }
  // What was left out when the source was opened, each thing once.
  virtual std::vector<Finding> left_out() const { return {}; }
  // Made from numbers rather than read: there is nothing to check.
  virtual bool is_drawn() const { return false; }
};

// The formats a config may name (`format: folder`), one line each in src/data/formats.cpp.
const SettingsTable& source_formats();
// `settings` as source_formats().make(format) gave it, after the config was read into it.
std::unique_ptr<Source> open_source(std::string_view format, const Settings& settings);

// Its captions, or its sentence, or its question, and what is said in its turns.
std::vector<std::string> texts_of(const Sample& sample);

// All that at most `samples` samples say (captions, questions, answers), evenly spread over the
// source; those that cannot be read are left out. Of dialogues also what chat templates write
// around the turns (text::chat_phrases), which a vocabulary needs as well.
std::vector<std::string> captions_of(const Source& source, std::int64_t samples);

}  // namespace tandem::data
