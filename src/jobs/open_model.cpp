#include "tandem/jobs/open_model.h"

#include <algorithm>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/jobs/model_files.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;

bool counts(const std::string& name) {
  const auto tokenizer = text::tokenizer_file_names();
  return name == "config.json" || name == "preprocessor_config.json" ||
         std::find(tokenizer.begin(), tokenizer.end(), name) != tokenizer.end() ||
         (name.ends_with(".safetensors") && name != "optimizer.safetensors");
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

OpenModel open_model(const fs::path& path, const WeightChoice& choice) {
  OpenModel open;
  open.directory = chosen_directory(path, choice);
  ModelFiles files = read_model(open.directory, {}, choice.average);
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
