#include "eval/metrics/replies.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "tandem/base/error.h"
#include "tandem/text/boxes.h"
#include "tandem/text/words.h"

namespace tandem::eval {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Python's float(): spaces around, underscores between digits, inf and nan in any case.
std::optional<double> number_of(std::string_view given) {
  std::string text;
  const std::string kept = text::trimmed(given);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] != '_') {
      text += kept[i];
      continue;
    }
    if (i == 0 || i + 1 == kept.size() || !is_digit(kept[i - 1]) || !is_digit(kept[i + 1])) {
      return {};
    }
  }
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty() || rest[0] == '-' || rest.find('(') != std::string_view::npos) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (end != rest.data() + rest.size()) return {};
  if (error == std::errc::result_out_of_range) {  // Python gives 0 or infinity
    value = rest.find("e-") != std::string_view::npos || rest.find("E-") != std::string_view::npos
                ? 0
                : std::numeric_limits<double>::infinity();
  } else if (error != std::errc()) {
    return {};
  }
  return negative ? -value : value;
}

std::optional<double> value_of(std::string_view text) {
  if (!text.ends_with('%')) return number_of(text);
  while (text.ends_with('%')) text.remove_suffix(1);
  const auto number = number_of(text);
  return number ? std::optional(*number / 100) : std::nullopt;
}

std::string single_spaced(std::string_view text) {
  std::string joined;
  for (const std::string& word : text::lower_words(text)) {
    if (!joined.empty()) joined += ' ';
    joined += word;
  }
  return joined;
}

data::Box box_of(const text::Corners& c) { return {c[0], c[1], c[2], c[3]}; }

}  // namespace

bool relaxed_match(std::string_view given, std::string_view right, double tolerance) {
  const std::string reply = text::trimmed(given);
  const auto said = value_of(reply), meant = value_of(right);
  if (said && meant && *meant != 0) {
    return std::abs(*said - *meant) / std::abs(*meant) <= tolerance;
  }
  return text::lower_case(reply) == text::lower_case(right);
}

bool relaxed_match(std::string_view reply, const std::vector<std::string>& right,
                   double tolerance) {
  return std::any_of(right.begin(), right.end(), [&](const std::string& one) {
    return relaxed_match(reply, std::string_view(one), tolerance);
  });
}

bool exact_match(std::string_view reply, const std::vector<std::string>& right) {
  const std::string said = text::lower_case(text::trimmed(reply));
  return std::any_of(right.begin(), right.end(), [&](const std::string& one) {
    return said == text::lower_case(text::trimmed(one));
  });
}

std::int64_t edit_distance(std::u32string_view a, std::u32string_view b) {
  std::vector<std::int64_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<std::int64_t>(j);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::int64_t diagonal = row[0];
    row[0] = static_cast<std::int64_t>(i) + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::int64_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

double edit_similarity(std::string_view reply, const std::vector<std::string>& right,
                       double least) {
  TANDEM_CHECK(!right.empty(), "[eval] expected a right answer");
  const std::u32string said = text::code_points(single_spaced(reply));
  double farthest = std::numeric_limits<double>::infinity();
  for (const std::string& one : right) {
    const std::size_t letters = std::max(text::upper_length(one), text::upper_length(reply));
    const std::int64_t edits = edit_distance(text::code_points(single_spaced(one)), said);
    farthest = std::min(
        farthest, letters == 0 ? 0 : static_cast<double>(edits) / static_cast<double>(letters));
  }
  const double similarity = 1 - farthest;
  return similarity < least ? 0 : similarity;
}

std::optional<std::int64_t> chosen_letter(std::string_view reply, std::int64_t choices) {
  constexpr std::string_view letters = "ABCDE", says = "The answer is ";
  const auto number = [&](char letter) -> std::optional<std::int64_t> {
    const std::size_t at = letters.find(letter);
    if (at == std::string_view::npos || static_cast<std::int64_t>(at) >= choices) return {};
    return static_cast<std::int64_t>(at);
  };
  const bool begins = !reply.empty() && letters.find(reply[0]) != std::string_view::npos;
  if (begins && (reply.size() == 1 || reply.substr(1, 2) == ". ")) return number(reply[0]);
  std::vector<char> named;
  std::size_t at = reply.find(says);
  while (at != std::string_view::npos) {
    const std::size_t letter = at + says.size();
    const bool found = letter + 1 < reply.size() && reply[letter] >= 'A' && reply[letter] <= 'Z' &&
                       reply[letter + 1] != '\n';
    if (found) named.push_back(reply[letter]);
    at = reply.find(says, found ? letter + 2 : at + 1);
  }
  return named.size() == 1 ? number(named[0]) : std::nullopt;
}

data::Box relative_box(std::string_view reply, double width, double height, double unit) {
  const auto found = text::first_box(reply);
  return found ? box_of(text::to_pixels(*found, width, height, unit)) : data::Box{};
}

data::Box absolute_box(std::string_view reply, double width, double height, double seen_width,
                       double seen_height) {
  const auto found = text::json_boxes(reply);
  if (found.empty()) return {};
  return box_of(
      text::to_pixels(found[0].box, width / seen_width, height / seen_height, /*unit=*/1));
}

double preference_accuracy(const std::vector<double>& preferred,
                           const std::vector<double>& rejected) {
  TANDEM_CHECK(!preferred.empty() && preferred.size() == rejected.size(),
               "[eval] rewards that are no pairs");
  double right = 0;
  for (std::size_t i = 0; i < preferred.size(); ++i) right += preferred[i] > rejected[i] ? 1 : 0;
  return right / static_cast<double>(preferred.size());
}

}  // namespace tandem::eval
