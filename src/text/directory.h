#pragma once
// The files that directories hold instead of a tokenizer.json. Each kind becomes the document that
// a tokenizer.json would be, and a model where JSON cannot say what it is.

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "text/model.h"
#include "text/sentencepiece.h"

namespace tandem::text {

// The move of its document could only fail in an assertion of nlohmann's.
// NOLINTNEXTLINE(bugprone-exception-escape)
struct Found {
  nlohmann::json document;
  std::string name;                              // of what was read, for errors
  std::unique_ptr<Model> model;                  // empty: `document` has it
  const SentencePiece* sentencepiece = nullptr;  // the model, where it is one
  bool every_prefix = true;  // SentencePiece: its space goes before every piece of text
  std::vector<std::pair<std::string, std::string>> files;  // names and bytes
};

// Whether a tokenizer.json is to be read: of the folder, or the file itself.
bool is_tokenizer_json(const std::filesystem::path& path);
// Error(data) when there is nothing that is known, and for what is wrong in the files.
Found read_other_files(const std::filesystem::path& path);

}  // namespace tandem::text
