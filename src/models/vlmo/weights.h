#pragma once
// Names and shapes of VLMo's weights in files.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "models/vlmo/config.h"
#include "models/weight_names.h"

namespace tandem::models::vlmo {

// From a state dict of the original code, or of BEiT, to our names (which are the original's).
// Tables of positions are resized to the settings. What can be made again (indices of relative
// positions, position_ids) is dropped; the rest passes through.
Weights import_weights(Weights weights, const Settings& settings);

// Which heads and experts a file holds: config.json does not say.
void fit_weights(Settings& settings, const Weights& weights);

}  // namespace tandem::models::vlmo
