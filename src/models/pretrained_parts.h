#pragma once
// Parts that begin as other models' files have them: a tower, a language model. For families whose
// settings name a folder for each part; a whole model begins by `model.pretrained` instead.

#include <torch/nn/module.h>

#include <string>

#include "models/weight_names.h"

namespace tandem::models {

// All tensors of a folder's *.safetensors (optimizers' are not read). Throws Error(config) where
// there are none.
Weights weights_in(const std::string& folder);

// Of `weights` those below `prefix`, but not below `but`: each parameter of the net there takes its
// own; tables may have more rows than the file's, which keep what they begin with. Throws
// Error(config) naming one that is missing or of another shape, and the folder.
void take_part(torch::nn::Module& net, const Weights& weights, const std::string& prefix,
               const std::string& folder, const std::string& but = "-");

}  // namespace tandem::models
