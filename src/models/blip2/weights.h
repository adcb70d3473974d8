#pragma once
// Names and shapes of BLIP-2's weights in files.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "models/blip2/config.h"
#include "models/weight_names.h"

namespace tandem::models::blip2 {

// To Hugging Face's names of the class that the settings name; types stay as they are. The
// original's names (with EVA's or CLIP's tower) are renamed; tied tensors are kept once. Of the
// first stage, a class that has fewer parts takes its own. Tables of positions are resized.
Weights import_weights(Weights weights, const Settings& settings);

// What the names say and config.json does not: the original's last norm has eps 1e-5; a language
// model's head that differs from its table of words is no tied one.
void fit_weights(Settings& settings, const Weights& weights);

}  // namespace tandem::models::blip2
