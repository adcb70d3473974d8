#pragma once
// Small tokenizer.json documents for tests.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tandem/text/tokenizer.h"

namespace tandem::text::testing {

using nlohmann::json;

inline json added_token(int id, const std::string& content, const std::string& flag = "") {
  return {{"id", id},
          {"content", content},
          {"single_word", flag == "single_word"},
          {"lstrip", flag == "lstrip"},
          {"rstrip", flag == "rstrip"},
          {"normalized", flag == "normalized"},
          {"special", flag == "special"}};
}

// Byte-level: the letters of the bytes are 0 to 255, <|endoftext|> is 256, then the merges.
inline json byte_level(const std::vector<std::pair<std::string, std::string>>& merges = {}) {
  json document = json::parse(train_bpe({}, 257, BpeKind::gpt2).files()[0].second);
  int next = 257;
  for (const auto& [left, right] : merges) {
    document["model"]["merges"].push_back({left, right});
    document["model"]["vocab"][left + right] = next++;
  }
  return document;
}

inline json word_piece() {
  const std::vector<std::string> tokens{"[PAD]",  "[UNK]", "[CLS]", "[SEP]", "un",      "##aff",
                                        "##able", "a",     "##a",   "##b",   "!",       "don",
                                        "'",      "t",     "##",    "do",    "##able!", "你"};
  json document = json::parse(train_wordpiece({}, 5).files()[0].second);
  json vocab = json::object();
  for (std::size_t id = 0; id < tokens.size(); ++id) vocab[tokens[id]] = id;
  document["model"]["vocab"] = vocab;
  document["model"]["max_input_chars_per_word"] = 12;
  document["added_tokens"].erase(4);  // [MASK]
  return document;
}

inline Tokenizer read(const json& document) { return parse_tokenizer(document.dump(), "test"); }

}  // namespace tandem::text::testing
