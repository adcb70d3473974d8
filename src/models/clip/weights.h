#pragma once
// Names and shapes of CLIP's weights in files.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "models/clip/config.h"
#include "models/weight_names.h"

namespace tandem::models::clip {

// From OpenAI's names, or those of a single tower, to those of CLIPModel; types stay as they are.
// What is no weight (position_ids, sizes kept as tensors) is dropped, the rest passes through.
// Tables of positions are resized to the settings.
Weights import_weights(Weights weights, const Settings& settings);

}  // namespace tandem::models::clip
