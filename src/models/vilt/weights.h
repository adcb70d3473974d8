#pragma once
// Names and shapes of ViLT's weights in files.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "models/vilt/config.h"
#include "models/weight_names.h"

namespace tandem::models::vilt {

// From the original's names (ViLTransformerSS), or those of ViltModel alone, to those of the
// classes with a head; without parts to those of ViltModel. Packed projections are split; tables of
// positions are resized to the settings, a missing modality row is the picture's. What is no weight
// is dropped, what is not known passes through.
Weights import_weights(Weights weights, const Settings& settings);

// An untied decoder of ViltForMaskedLM, which transformers keeps apart where a file holds one.
void fit_weights(Settings& settings, const Weights& weights);

}  // namespace tandem::models::vilt
