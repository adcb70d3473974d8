#pragma once
// What a text goes through before it is cut into words.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/charsmap.h"
#include "text/json_node.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace tandem::text {

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  // Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, Prepend, Precompiled,
  // Nmt, BertNormalizer; any other: Error(data).
  explicit Normalizer(const JsonNode& node);

  bool empty() const { return steps_.empty(); }
  // The text, or one that lies in `buffer` (and `spare` is for the steps between).
  std::string_view apply(std::string_view text, std::string& buffer, std::string& spare) const;

 private:
  enum class Kind {
    form,
    lowercase,
    strip_accents,
    strip,
    replace,
    prepend,
    precompiled,
    nmt,
    bert_clean,
    bert_han,
    bert_marks
  };
  struct Step {
    Kind kind;
    NormalForm form = NormalForm::nfc;
    bool left = false, right = false;  // strip
    std::vector<Pattern> pattern;      // replace: one
    std::string content;
    std::shared_ptr<const CharsMap> map;  // precompiled
  };

  void add(const JsonNode& node);
  bool add_simple(const std::string& type, const JsonNode& node);
  // The text as it is, or what was written to `out` (empty before).
  static std::string_view apply(const Step& step, std::string_view text, std::string& out);

  std::vector<Step> steps_;
};

}  // namespace tandem::text
