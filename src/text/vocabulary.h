#pragma once
// Tokens and ids of a model.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/json_node.h"

namespace tandem::text {

inline constexpr std::int32_t kNoId = -1;

class Vocabulary {
 public:
  Vocabulary() = default;
  // {"token": id, ...}. Ids from 0, each once, without large gaps; else Error(data).
  explicit Vocabulary(const JsonNode& node);
  // Ids in the order of the list; of a token that is there twice the last one is found.
  explicit Vocabulary(const std::vector<std::string>& tokens);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  std::int32_t find(std::string_view token) const {
    const auto it = ids_.find(token);
    return it == ids_.end() ? kNoId : it->second;
  }
  // Empty where there is no such id.
  std::optional<std::string_view> token(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) return std::nullopt;
    const std::string* token = tokens_[static_cast<std::size_t>(id)];
    return token == nullptr ? std::nullopt : std::optional<std::string_view>(*token);
  }
  std::size_t count() const { return count_; }  // of ids
  std::int32_t largest() const { return static_cast<std::int32_t>(tokens_.size()) - 1; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
  std::size_t count_ = 0;
  std::vector<const std::string*> tokens_;  // into ids_, whose keys do not move
};

}  // namespace tandem::text
