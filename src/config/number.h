#pragma once
// Numbers of the file: `12`, `1e-4`, `2000 steps`, `64 MiB`, `1.5 h`; and back.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/base/fields.h"

namespace tandem::config {

// Empty when the text is no finite decimal number, or carries a unit that is not of this kind.
std::optional<double> parse_double(std::string_view text, Unit unit);
// Also empty when the value is no whole number of int64's range: `1e6` and `1.5 KiB` are whole.
std::optional<std::int64_t> parse_integer(std::string_view text, Unit unit);

// The words that may stand behind such a number: {step, steps}.
std::vector<std::string> unit_words(Unit unit);
// For messages and the schema's page: "steps", "bytes"; empty for none.
std::string_view name_of(Unit unit);

std::string shortest(double value);  // the shortest text that reads back as the same value

}  // namespace tandem::config
