#pragma once
// A model that is ready to be used, with all that its folder says: `tandem eval`, `embed`,
// `search`.

#include <filesystem>
#include <memory>
#include <string>

#include "tandem/jobs/model_files.h"
#include "tandem/models/model.h"

namespace tandem::jobs {

struct OpenModel {
  std::filesystem::path directory{};  // of the weights: of a run, its newest checkpoint
  const models::Family* family = nullptr;
  std::unique_ptr<Settings> settings{};
  std::shared_ptr<const text::Tokenizer> tokenizer{};
  std::unique_ptr<models::Model> model{};  // in evaluation mode, on the CPU
  models::Processor processor{};
};

// path: a run, a checkpoint or a Hugging Face directory. Throws as model_directory, read_model and
// load_tokenizer do, and Error(config) naming the file for a chat template in Jinja that does not
// write as the settings say (text/jinja.h), unless config.json names one (`tandem: {chat: NAME}`).
OpenModel open_model(const std::filesystem::path& path, const WeightChoice& choice = {});

// XXH3-128 of what the model's numbers depend on: config.json, the processor's files, the
// tokenizer's and all *.safetensors of the folder but the optimizer's.
std::string model_hash(const std::filesystem::path& directory);

}  // namespace tandem::jobs
