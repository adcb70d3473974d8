#pragma once
// Names of the weights in files.

#include "models/qwen2_vl/config.h"
#include "models/weight_names.h"

namespace tandem::models::qwen2_vl {

// To the hub's names: transformers 5 puts the tower at model.visual and the language model at
// model.language_model. A tied output matrix is kept once, under the name of the table of words.
Weights import_weights(Weights weights, const Settings& settings);

}  // namespace tandem::models::qwen2_vl
