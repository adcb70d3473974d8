#pragma once
// A model as a directory: what transformers reads and what a checkpoint's folder holds.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "tandem/models/model.h"

namespace tandem::jobs {

// config.json, understood, and the weights beside it under our names.
struct ModelFiles {
  const models::Family* family = nullptr;
  std::unique_ptr<Settings> settings;
  std::map<std::string, at::Tensor> weights;  // in the types of the file
};

// The folder itself, or the newest checkpoint of a run. Throws Error(config) when neither is there.
std::filesystem::path model_directory(const std::filesystem::path& path);
// The best checkpoint of a run, as its newest one knows it. Throws Error(config) when there is
// none.
std::filesystem::path best_directory(const std::filesystem::path& run);

// `made_by`: the class to take where config.json names none, or another one of the same family (the
// heads differ). Throws Error(config) for a
// config.json that is missing, broken or of an unknown class; Error(data) for weights that cannot
// be read and for files of a checkpoint that are not as they were saved (checkpoint::check_texts).
// average: of a checkpoint, the averages of its weights (`ema`); Error(config) where it has none.
// Adapters beside the weights are merged into them.
ModelFiles read_model(const std::filesystem::path& directory, const std::string& made_by = {},
                      bool average = false);

// Which of a run's weights.
struct WeightChoice {
  bool average = false;  // the averages (`ema`)
  bool best = false;     // its best checkpoint (checkpoint.keep.best), not its newest
};
std::filesystem::path chosen_directory(const std::filesystem::path& path,
                                       const WeightChoice& choice);

// Makes the model and gives it the weights. Throws Error(data) naming every tensor that does not
// fit.
std::unique_ptr<models::Model> make_model(const ModelFiles& files);

// Writes a Hugging Face directory: config.json, model.safetensors (names of transformers, numbers
// and types as they were), the tokenizer's files and preprocessor_config.json. `out` is made; it
// must be absent or empty (Error(config)). Adapters are merged, and stand apart in OUT/adapter in
// PEFT's layout. Both verbs do the same from either side.
void export_model(const std::filesystem::path& model, const std::filesystem::path& out,
                  const WeightChoice& choice = {});
void import_model(const std::filesystem::path& directory, const std::filesystem::path& out);

}  // namespace tandem::jobs
