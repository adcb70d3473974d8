#pragma once
// The tables of words (caption.h) from both sides; private to the world.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tandem::data::world {

template <class Table>
std::string word(const Table& table, int number) {
  return std::string(table[static_cast<std::size_t>(number)]);
}

template <class Table>
std::optional<int> number_of(const Table& table, std::string_view word) {
  const auto it = std::find(table.begin(), table.end(), word);
  if (it == table.end()) return {};
  return static_cast<int>(it - table.begin());
}

}  // namespace tandem::data::world
