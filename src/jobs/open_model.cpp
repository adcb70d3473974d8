#include "tandem/jobs/open_model.h"

#include <array>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/jobs/model_files.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;

bool counts(const std::string& name) {
  constexpr std::array<const char*, 10> texts{"config.json",
                                              "preprocessor_config.json",
                                              "tokenizer.json",
                                              "vocab.json",
                                              "merges.txt",
                                              "vocab.txt",
                                              "special_tokens_map.json",
                                              "added_tokens.json",
                                              "tokenizer.model",
                                              "spiece.model"};
  for (const char* text : texts) {
    if (name == text) return true;
  }
  return name.ends_with(".safetensors") && name != "optimizer.safetensors";
}

std::string hash_of_file(const fs::path& path) {
  FileReader file(path);
  std::vector<char> part(1 << 20);
  for (std::int64_t left = file.size(); left > 0;) {
    const std::int64_t count = std::min<std::int64_t>(left, static_cast<std::int64_t>(part.size()));
    file.read(part.data(), count);
    left -= count;
  }
  return file.hash();
}

}  // namespace

OpenModel open_model(const fs::path& path) {
  OpenModel open;
  open.directory = model_directory(path);
  ModelFiles files = read_model(open.directory);
  open.family = files.family;
  open.tokenizer = std::make_shared<const text::Tokenizer>(text::load_tokenizer(open.directory));
  if (files.family->fit_vocabulary) files.family->fit_vocabulary(*files.settings, *open.tokenizer);
  open.model = make_model(files);
  open.model->train(false);
  open.processor = files.family->processor(*files.settings, open.tokenizer);
  open.settings = std::move(files.settings);
  return open;
}

std::string model_hash(const fs::path& directory) {
  std::string all;
  for (const std::string& name : list_directory(directory)) {
    if (counts(name)) all += name + " " + hash_of_file(directory / name) + "\n";
  }
  return hash128(all);
}

}  // namespace tandem::jobs
