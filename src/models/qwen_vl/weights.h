#pragma once
// Names and shapes of Qwen-VL's weights in files: they are the hub's.

#include "models/qwen_vl/config.h"
#include "models/weight_names.h"

namespace tandem::models::qwen_vl {

// Drops what is no weight (frequencies and masks that older files hold).
Weights import_weights(Weights weights, const Settings& settings);

}  // namespace tandem::models::qwen_vl
