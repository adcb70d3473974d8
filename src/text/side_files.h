#pragma once
// What stands beside a vocabulary that is no tokenizer.json: tokenizer_config.json,
// special_tokens_map.json, added_tokens.json and config.json, all of which may be absent.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/vocabulary.h"

namespace tandem::text {

// A file's bytes; Error(io) when it cannot be read, Error(data) when it is larger than 512 MiB.
std::string read_tokenizer_file(const std::filesystem::path& path);

class SideFiles {
 public:
  // Error(data) for JSON that is none, and for values of the wrong type that are used.
  explicit SideFiles(const std::filesystem::path& folder);

  // The system: the tokenizer's class without "Tokenizer" and "Fast" ("CLIP", "GPT2", "Llama"); of
  // a folder without one, what `model_type` means; else "".
  const std::string& system() const { return system_; }
  bool has_pictures() const;  // config.json has a `visual` part

  // A setting of tokenizer_config.json.
  bool flag(const std::string& name, bool otherwise) const;
  std::int64_t number(const std::string& name, std::int64_t otherwise, std::int64_t low,
                      std::int64_t high) const;
  bool has(const std::string& name) const;
  // The content of bos_token, eos_token, ...
  std::string mark(const std::string& name, const std::string& otherwise) const;

  // A token of the system, and its id where the vocabulary does not hold it; kNoId: then it is
  // none.
  struct Default {
    // Lists of defaults are written as plain texts.
    // NOLINTNEXTLINE(google-explicit-constructor)
    Default(std::string text, std::int64_t number = kNoId) : content(std::move(text)), id(number) {}
    std::string content;
    std::int64_t id;
  };
  // `added_tokens` for a tokenizer.json: all tokens that the files name, and the `defaults`; with
  // the vocabulary's id, else the one that is given, else the next.
  nlohmann::json added_tokens(const std::vector<Default>& defaults,
                              const Vocabulary& vocabulary) const;

 private:
  nlohmann::json read(const char* name) const;
  std::string where(const std::string& name) const { return (folder_ / name).string(); }
  void collect(const nlohmann::json& value, bool special, std::int64_t id,
               std::vector<nlohmann::json>& tokens) const;

  std::filesystem::path folder_;
  nlohmann::json config_, map_, added_, model_;
  std::string system_;
};

}  // namespace tandem::text
