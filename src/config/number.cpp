#include "config/number.h"

#include <charconv>
#include <cmath>

namespace tandem::config {
namespace {

struct UnitWord {
  const char* word;
  Unit unit;
  double factor;
};

constexpr UnitWord kWords[] = {
    {"steps", Unit::steps, 1},
    {"step", Unit::steps, 1},
    {"epochs", Unit::epochs, 1},
    {"epoch", Unit::epochs, 1},
    {"samples", Unit::samples, 1},
    {"sample", Unit::samples, 1},
    {"B", Unit::bytes, 1},
    {"KiB", Unit::bytes, 1024.0},
    {"MiB", Unit::bytes, 1024.0 * 1024},
    {"GiB", Unit::bytes, 1024.0 * 1024 * 1024},
    {"TiB", Unit::bytes, 1024.0 * 1024 * 1024 * 1024},
    {"kB", Unit::bytes, 1e3},
    {"MB", Unit::bytes, 1e6},
    {"GB", Unit::bytes, 1e9},
    {"TB", Unit::bytes, 1e12},
    {"s", Unit::seconds, 1},
    {"min", Unit::seconds, 60},
    {"h", Unit::seconds, 3600},
};

// Splits the unit off `text`; 0 for a unit that does not belong here.
double factor_of(std::string_view& text, Unit unit) {
  std::size_t end = text.size();
  while (end > 0 && ((text[end - 1] >= 'a' && text[end - 1] <= 'z') ||
                     (text[end - 1] >= 'A' && text[end - 1] <= 'Z'))) {
    --end;
  }
  const std::string_view word = text.substr(end);
  if (word.empty()) return 1;
  text = text.substr(0, end);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  for (const UnitWord& known : kWords) {
    if (known.unit == unit && word == known.word) return known.factor;
  }
  return 0;
}

// from_chars takes `inf`, `nan` and no sign in front; the file's numbers are digits with a sign.
bool looks_decimal(std::string_view& text) {
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return false;
  }
  if (text.empty()) return false;
  return text.find_first_not_of("0123456789.eE+-") == std::string_view::npos;
}

}  // namespace

std::optional<double> parse_double(std::string_view text, Unit unit) {
  const double factor = factor_of(text, unit);
  if (factor == 0 || !looks_decimal(text)) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  value *= factor;
  return std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view text, Unit unit) {
  std::string_view digits = text;
  if (factor_of(digits, unit) == 1 && looks_decimal(digits)) {  // exact beyond 2^53
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc() && end == digits.data() + digits.size()) return value;
  }
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const std::optional<double> value = parse_double(text, unit);
  if (!value || std::floor(*value) != *value || std::fabs(*value) > kExact) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

std::vector<std::string> unit_words(Unit unit) {
  std::vector<std::string> words;
  for (const UnitWord& known : kWords) {
    if (known.unit == unit) words.emplace_back(known.word);
  }
  return words;
}

std::string_view name_of(Unit unit) {
  switch (unit) {
    case Unit::none:
      return "";
    case Unit::steps:
      return "steps";
    case Unit::epochs:
      return "epochs";
    case Unit::samples:
      return "samples";
    case Unit::bytes:
      return "bytes";
    case Unit::seconds:
      return "seconds";
  }
  return "";
}

std::string shortest(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  std::string shown(text, error == std::errc() ? end : text);
  // `5e-04` and `1e+06`, as people write them: `5e-4`, `1e6`.
  const std::size_t e = shown.find('e');
  if (e == std::string::npos) return shown;
  const bool negative = shown[e + 1] == '-';
  const std::size_t digits = shown.find_first_not_of("+-0", e + 1);
  return shown.substr(0, e + 1) + (negative ? "-" : "") + shown.substr(digits);
}

}  // namespace tandem::config
