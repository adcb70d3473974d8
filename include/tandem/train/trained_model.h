#pragma once
// A checkpoint of a run as its stage trained it, rather than as the weights that it exports.

#include <filesystem>
#include <memory>
#include <optional>

#include "tandem/train/experiment.h"

namespace tandem::train {

// The parts of the stage that the checkpoint stands in, in evaluation mode, with what the stage
// compares its model with: a frozen copy, adapters that are not merged. Nothing for a model that
// compares answers with nothing: its weights alone are the model (jobs::open_model). run: the run's
// own config. average: the weights' averages. Throws Error(data), Error(config).
std::optional<Parts> trained_model(const config::RunConfig& run,
                                   const std::filesystem::path& checkpoint,
                                   const std::shared_ptr<const text::Tokenizer>& tokenizer,
                                   bool average);

}  // namespace tandem::train
