#pragma once
// Names and shapes of ALBEF's weights in files.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "models/albef/config.h"
#include "models/weight_names.h"

namespace tandem::models::albef {

// From the state of the original's pre-training model: names are kept, tied tensors stand once,
// copies that a file does not have are made from what they follow, position tables are resized to
// the settings. What is not known passes through.
Weights import_weights(Weights weights, const Settings& settings);

}  // namespace tandem::models::albef
