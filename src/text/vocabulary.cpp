#include "text/vocabulary.h"

#include <algorithm>

namespace tandem::text {

Vocabulary::Vocabulary(const JsonNode& node) {
  if (!node.value().is_object()) node.fail("an object of tokens and ids");
  const auto count = static_cast<std::int64_t>(node.value().size());
  // Room for a cut vocabulary that keeps its ids, and none for an id that asks for gigabytes.
  const std::int64_t limit = std::min<std::int64_t>(4 * count + 65536, INT32_MAX);
  ids_.reserve(static_cast<std::size_t>(count));
  for (const auto& [token, value] : node.value().items()) {
    const bool fits = value.is_number_unsigned() &&
                      value.get<std::uint64_t>() < static_cast<std::uint64_t>(limit);
    if (!fits) node.at(token).fail("an id from 0 to " + std::to_string(limit - 1));
    const auto id = value.get<std::int32_t>();
    if (static_cast<std::size_t>(id) >= tokens_.size()) {
      tokens_.resize(static_cast<std::size_t>(id) + 1, nullptr);
    }
    const std::string*& slot = tokens_[static_cast<std::size_t>(id)];
    if (slot != nullptr)
      node.at(token).fail("an id of its own (that of '" + *slot + "' is the same)");
    slot = &ids_.emplace(token, id).first->first;
  }
  count_ = ids_.size();
}

Vocabulary::Vocabulary(const std::vector<std::string>& tokens) : count_(tokens.size()) {
  ids_.reserve(tokens.size());
  tokens_.reserve(tokens.size());
  for (const std::string& token : tokens) {
    const auto it = ids_.insert_or_assign(token, static_cast<std::int32_t>(tokens_.size())).first;
    tokens_.push_back(&it->first);
  }
}

}  // namespace tandem::text
