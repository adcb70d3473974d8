// Names of shards written short: a{0..2}{x,y}.
#include <algorithm>
#include <charconv>
#include <optional>

#include "tandem/base/error.h"
#include "tandem/data/webdataset.h"

namespace tandem::data {
namespace {

constexpr std::size_t max_names = 1'000'000;

[[noreturn]] void bad_pattern(const std::string& pattern, const std::string& what) {
  throw Error(ErrorKind::config, "[webdataset] " + what, pattern,
              "braces: {00..17} counts, {x,y} lists");
}

void check_count(std::size_t count, const std::string& pattern) {
  if (count > max_names) bad_pattern(pattern, "expected at most a million names; got more");
}

// The brace that closes the one at `open`.
std::size_t closing(const std::string& text, std::size_t open, const std::string& pattern) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  bad_pattern(pattern, "expected a closing brace");
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> items(1);
  int depth = 0;
  for (const char c : text) {
    depth += (c == '{') - (c == '}');
    if (c == ',' && depth == 0) {
      items.emplace_back();
    } else {
      items.back() += c;
    }
  }
  return items;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool plain = !text.empty() && text.front() != '-';
  if (code != std::errc() || end != text.data() + text.size() || !plain) return {};
  return value;
}

// "08..11": as wide as the wider end when one of them starts with a zero. Counts down as well.
std::vector<std::string> counted(const std::string& body, const std::string& pattern) {
  const std::size_t dots = body.find("..");
  if (dots == std::string::npos)
    bad_pattern(pattern, "expected {a,b} or {0..9}; got {" + body + "}");
  const std::string first = body.substr(0, dots), last = body.substr(dots + 2);
  const auto from = whole_number(first), to = whole_number(last);
  if (!from || !to) bad_pattern(pattern, "expected two whole numbers; got {" + body + "}");
  const auto padded = [](const std::string& text) { return text.size() > 1 && text[0] == '0'; };
  const std::size_t width = padded(first) || padded(last) ? std::max(first.size(), last.size()) : 0;
  const std::int64_t step = *from <= *to ? 1 : -1;
  check_count(static_cast<std::size_t>((*to - *from) * step), pattern);
  std::vector<std::string> items;
  for (std::int64_t value = *from;; value += step) {
    std::string digits = std::to_string(value);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    items.push_back(std::move(digits));
    if (value == *to) return items;
  }
}

std::vector<std::string> expand(const std::string& text, const std::string& pattern) {
  const std::size_t open = text.find_first_of("{}");
  if (open == std::string::npos) return {text};
  if (text[open] == '}') bad_pattern(pattern, "expected an opening brace before a closing one");
  const std::size_t close = closing(text, open, pattern);
  const std::string body = text.substr(open + 1, close - open - 1);
  const std::vector<std::string> items = split_at_commas(body);
  std::vector<std::string> middles;
  if (items.size() == 1) {
    middles = counted(body, pattern);
  } else {
    for (const std::string& item : items) {
      for (std::string& one : expand(item, pattern)) middles.push_back(std::move(one));
    }
  }
  const std::vector<std::string> tails = expand(text.substr(close + 1), pattern);
  check_count(middles.size() * tails.size(), pattern);
  std::vector<std::string> names;
  for (const std::string& middle : middles) {
    for (const std::string& tail : tails) names.push_back(text.substr(0, open) + middle + tail);
  }
  return names;
}

}  // namespace

std::vector<std::string> expand_braces(const std::string& pattern) {
  return expand(pattern, pattern);
}

}  // namespace tandem::data
