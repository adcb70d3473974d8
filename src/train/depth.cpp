#include "tandem/train/depth.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

namespace tandem::train {
namespace {

using Words = std::vector<std::string>;

Words split(const std::string& name) {
  Words parts;
  std::size_t start = 0;
  for (std::size_t dot; (dot = name.find('.', start)) != std::string::npos; start = dot + 1) {
    parts.push_back(name.substr(start, dot - start));
  }
  parts.push_back(name.substr(start));
  return parts;
}

std::optional<std::int64_t> number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

struct BlockList {
  Words prefix{};
  std::int64_t blocks = 0;
  std::size_t first = 0;  // parameter, in their order
};

struct Place {  // of a name inside a list
  Words prefix{};
  std::int64_t block = 0;
};

// The outermost number decides: experts inside a block are of that block.
std::optional<Place> place_of(const Words& parts) {
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (const auto block = number(parts[i])) {
      return Place{{parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(i)}, *block};
    }
  }
  return std::nullopt;
}

std::size_t shared_parts(const Words& a, const Words& b) {
  const auto end = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
  return static_cast<std::size_t>(end - a.begin());
}

}  // namespace

std::vector<std::int64_t> depths(const std::vector<std::string>& names) {
  std::map<Words, BlockList> lists;
  std::vector<Words> split_names;
  std::vector<std::optional<Place>> places;
  for (std::size_t i = 0; i < names.size(); ++i) {
    split_names.push_back(split(names[i]));
    places.push_back(place_of(split_names.back()));
    if (!places.back()) continue;
    const auto [it, is_new] = lists.try_emplace(places.back()->prefix);
    if (is_new) it->second = {.prefix = it->first, .first = i};
    it->second.blocks = std::max(it->second.blocks, places.back()->block + 1);
  }
  std::vector<std::int64_t> result(names.size(), 0);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (places[i]) {
      result[i] = lists.at(places[i]->prefix).blocks - places[i]->block;
      continue;
    }
    const BlockList* nearest = nullptr;
    std::size_t most = 0;
    for (const auto& [prefix, list] : lists) {
      const std::size_t shared = shared_parts(split_names[i], prefix);
      // A list at the root ("blocks") is the whole model's.
      if (shared == 0 && prefix.size() > 1) continue;
      if (nearest == nullptr || shared > most) {
        nearest = &list;
        most = shared;
      }
    }
    if (nearest != nullptr && i < nearest->first) result[i] = nearest->blocks + 1;
  }
  return result;
}

}  // namespace tandem::train
