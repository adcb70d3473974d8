#pragma once
// Names and shapes of BLIP's weights in files.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "models/blip/config.h"
#include "models/weight_names.h"
#include "tandem/nn/vit.h"

namespace tandem::models::blip {

// Where the parts of the picture's encoder stand: timm's names in the original, Hugging Face's in
// its classes.
const nn::VitNames& names_of_vision(Kind kind);

// To the names of the class that the settings name; types stay as they are. Shared and tied tensors
// are kept once, under their first name; what is no weight (position_ids) is dropped. The
// original's names of the picture's encoder become Hugging Face's or the other way round. Of a
// pre-trained model, a class that has fewer parts takes its own. Tables of positions are resized.
Weights import_weights(Weights weights, const Settings& settings);

}  // namespace tandem::models::blip
