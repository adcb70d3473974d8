#pragma once
// What cuts a text: a literal, or a regular expression. The expressions of GPT-2, CLIP, Qwen2 and
// LLaMA 3 are matchers of ours, chosen by their exact text: one pass, no backtracking. Any other
// one runs in ICU under a limit of steps; where ICU and Oniguruma (which `tokenizers` uses)
// understand an expression differently, so do the ids.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "text/json_node.h"

namespace tandem::text {

struct Match {
  std::size_t begin, end;
};

class Pattern {
 public:
  enum class Kind { literal, spaces, gpt2, clip, clip_marked, qwen2, llama3, icu };

  // An empty literal, or an expression that ICU does not understand, throws Error(data) at `where`.
  static Pattern literal(std::string text, const std::string& where);
  static Pattern regex(const std::string& expression, const std::string& where);
  // {"String": ...} or {"Regex": ...}.
  explicit Pattern(const JsonNode& node);
  static Pattern known(Kind kind) { return Pattern(kind); }

  Kind kind() const noexcept { return kind_; }

  // f(begin, end, is_match) for the pieces that cover the text, in order.
  template <class F>
  void cut(std::string_view text, F&& f) const {
    std::size_t done = 0;
    each_match(text, [&](Match match) {
      if (done != match.begin) f(done, match.begin, false);
      f(match.begin, match.end, true);
      done = match.end;
    });
    if (done != text.size()) f(done, text.size(), false);
  }

 private:
  struct Compiled;  // ICU's
  explicit Pattern(Kind kind) : kind_(kind) {}

  // The next match at or behind `from`; false when there is none. Not for Kind::icu.
  bool next(std::string_view text, std::size_t from, Match& match) const;
  struct Finder;  // ICU's matches in one text
  std::shared_ptr<Finder> finder(std::string_view text) const;
  static bool next(Finder& finder, Match& match);

  template <class F>
  void each_match(std::string_view text, F&& f) const {
    Match match{0, 0};
    if (kind_ == Kind::icu) {
      const std::shared_ptr<Finder> matches = finder(text);
      while (next(*matches, match)) f(match);
    } else {
      while (match.end < text.size() && next(text, match.end, match)) f(match);
    }
  }

  Kind kind_;
  std::string text_;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace tandem::text
