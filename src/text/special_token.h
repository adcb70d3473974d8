#pragma once
// An entry of `added_tokens` in tokenizer.json: a mark that is found as it is written.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace tandem::text {

inline nlohmann::json special_token(std::int64_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

}  // namespace tandem::text
