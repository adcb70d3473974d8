#pragma once
// Cuts a text into the words that the model sees.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_node.h"
#include "text/metaspace.h"
#include "text/pattern.h"

namespace tandem::text {

class PreTokenizer {
 public:
  using Sink = std::function<void(std::string_view word)>;

  PreTokenizer() = default;  // the text is one word
  // Sequence, Split, CharDelimiterSplit, Whitespace, WhitespaceSplit, BertPreTokenizer,
  // Punctuation, Digits, Metaspace, ByteLevel (as the last step only); any other: Error(data).
  explicit PreTokenizer(const JsonNode& node);

  // The words are bytes, for a byte-level model.
  bool byte_level() const { return !steps_.empty() && steps_.back().kind == Kind::byte_level; }
  // Words are never empty and live until the sink returns. `first`: nothing stands before the text.
  void cut(std::string_view text, bool first, const Sink& sink) const {
    if (!text.empty()) cut(0, text, first, sink);
  }

 private:
  enum class Kind {
    split,
    whitespace,
    whitespace_split,
    bert,
    punctuation,
    digits,
    metaspace,
    byte_level
  };
  enum class Behavior { removed, isolated, with_previous, with_next, contiguous };
  struct Step {
    Kind kind;
    Pattern pattern = Pattern::known(Pattern::Kind::gpt2);
    Behavior behavior = Behavior::isolated;
    bool invert = false;
    bool prefix_space = false, use_regex = true;  // byte_level
    std::shared_ptr<const Metaspace> metaspace;
  };

  template <class F>
  class Pieces;

  void add(const JsonNode& node);
  void add_split(const JsonNode& node);
  void add_byte_level(const JsonNode& node);
  static Behavior read_behavior(const JsonNode& node);
  void cut(std::size_t step, std::string_view text, bool first, const Sink& sink) const;
  void cut_bytes(const Step& step, std::string_view text, const Sink& sink) const;
  void cut_marked(std::size_t step, std::string_view text, bool first, const Sink& sink) const;
  void pass(std::size_t step, std::string_view piece, bool first, const Sink& sink) const {
    if (piece.empty()) return;
    step + 1 == steps_.size() ? sink(piece) : cut(step + 1, piece, first, sink);
  }

  std::vector<Step> steps_;
};

}  // namespace tandem::text
