#pragma once
// Names and shapes of Qwen-VL's weights in files: they are the hub's.

#include "models/qwen_vl/config.h"
#include "models/weight_names.h"

namespace tandem::models::qwen_vl {

// A head in the file that is not the table of words is the model's, whatever config.json says.
void fit_weights(Settings& settings, const Weights& weights);

// Drops what is no weight (frequencies and masks that older files hold).
Weights import_weights(Weights weights, const Settings& settings);

}  // namespace tandem::models::qwen_vl
