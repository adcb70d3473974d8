#include "text/pattern.h"

#include "text/unicode.h"

namespace tandem::text {
namespace {

std::uint32_t class_at(std::string_view text, std::size_t at, std::size_t& after) {
  after = at;
  return sets_of(next_char(text, after));
}

// Where the run of characters that are in one of `sets` (or, with `negate`, in none) ends.
template <bool negate = false>
std::size_t run_end(std::string_view text, std::size_t at, std::uint32_t sets) {
  for (std::size_t after; at < text.size(); at = after) {
    if (((class_at(text, at, after) & sets) == 0) != negate) break;
  }
  return at;
}

constexpr std::uint32_t kOther = kLetter | kNumber | kSpace;  // negated: punctuation and the like

// 's 't 're 've 'm 'll 'd at text[at], which is an apostrophe: the end of it, or 0.
// With `fold` in any case, and then the long s (U+017F) is an s too.
std::size_t contraction_end(std::string_view text, std::size_t at, bool fold) {
  const auto lower = [&](std::size_t i) -> char {
    if (i >= text.size()) return '\0';
    return fold && text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
  };
  const char a = lower(at + 1), b = lower(at + 2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return at + 2;
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return at + 3;
  if (fold && text.substr(at + 1).starts_with("\xC5\xBF")) return at + 3;
  return 0;
}

// \s+(?!\S)|\s+ where the run of spaces ends at `end`: all of it at the end of the text, else all
// but the last one, else that one.
std::size_t spaces_end(std::string_view text, std::size_t at, std::size_t end) {
  if (end == text.size()) return end;
  std::size_t last = end;
  previous_char(text, last);
  return last > at ? last : end;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t gpt2_end(std::string_view text, std::size_t at) {
  if (text[at] == '\'') {
    if (const std::size_t end = contraction_end(text, at, false)) return end;
  }
  const std::size_t word = text[at] == ' ' ? at + 1 : at;
  if (word < text.size()) {
    std::size_t after;
    const std::uint32_t sets = class_at(text, word, after);
    if ((sets & kLetter) != 0) return run_end(text, after, kLetter);
    if ((sets & kNumber) != 0) return run_end(text, after, kNumber);
    if ((sets & kSpace) == 0) return run_end<true>(text, after, kOther);
  }
  return spaces_end(text, at, run_end(text, at, kSpace));
}

bool is_newline(char c) { return c == '\r' || c == '\n'; }

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*
// |\s*[\r\n]+|\s+(?!\S)|\s+       with \p{N}{1,3} when `digits` is 3
std::size_t qwen2_end(std::string_view text, std::size_t at, int digits) {
  if (text[at] == '\'') {
    if (const std::size_t end = contraction_end(text, at, true)) return end;
  }
  std::size_t after, next;
  const std::uint32_t sets = class_at(text, at, after);
  if ((sets & kLetter) != 0) return run_end(text, after, kLetter);
  if ((sets & kNumber) != 0) {
    for (int i = 1; i < digits && after < text.size(); ++i, after = next) {
      if ((class_at(text, after, next) & kNumber) == 0) break;
    }
    return after;
  }
  if (!is_newline(text[at]) && after < text.size() &&
      (class_at(text, after, next) & kLetter) != 0) {
    return run_end(text, next, kLetter);
  }
  const std::size_t word = text[at] == ' ' ? at + 1 : at;
  if (word < text.size() && (class_at(text, word, next) & kOther) == 0) {
    std::size_t end = run_end<true>(text, next, kOther);
    while (end < text.size() && is_newline(text[end])) ++end;
    return end;
  }
  const std::size_t end = run_end(text, after, kSpace);
  for (std::size_t i = end; i > at; --i) {
    if (is_newline(text[i - 1])) return i;
  }
  return spaces_end(text, at, end);
}

constexpr std::string_view kTextMarks[] = {"<|startoftext|>", "<|endoftext|>"};

// 's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+   (`marked`: the two marks before it)
bool clip_next(std::string_view text, std::size_t from, bool marked, Match& match) {
  const std::size_t at = run_end(text, from, kSpace);
  if (at == text.size()) return false;
  match.begin = at;
  if (marked && text[at] == '<') {
    for (const std::string_view mark : kTextMarks) {
      if (text.substr(at).starts_with(mark)) {
        match.end = at + mark.size();
        return true;
      }
    }
  }
  if (text[at] == '\'') {
    if (const std::size_t end = contraction_end(text, at, false)) {
      match.end = end;
      return true;
    }
  }
  std::size_t after;
  const std::uint32_t sets = class_at(text, at, after);
  if ((sets & kLetter) != 0) {
    after = run_end(text, after, kLetter);
  } else if ((sets & kNumber) == 0) {
    after = run_end<true>(text, after, kOther);
  }
  match.end = after;
  return true;
}

bool spaces_next(std::string_view text, std::size_t from, Match& match) {
  match.begin = run_end<true>(text, from, kSpace);
  match.end = run_end(text, match.begin, kSpace);
  return match.begin < text.size();
}

}  // namespace

bool Pattern::next(std::string_view text, std::size_t from, Match& match) const {
  switch (kind_) {
    case Kind::literal: {
      const std::size_t at = text.find(text_, from);
      if (at == std::string_view::npos) return false;
      match = {at, at + text_.size()};
      return true;
    }
    case Kind::spaces:
      return spaces_next(text, from, match);
    case Kind::gpt2:
      match = {from, gpt2_end(text, from)};
      return true;
    case Kind::clip:
    case Kind::clip_marked:
      return clip_next(text, from, kind_ == Kind::clip_marked, match);
    case Kind::qwen2:
      match = {from, qwen2_end(text, from, 1)};
      return true;
    case Kind::llama3:
      match = {from, qwen2_end(text, from, 3)};
      return true;
    case Kind::icu:
      break;
  }
  return false;
}

}  // namespace tandem::text
