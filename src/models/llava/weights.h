#pragma once
// Names and shapes of LLaVA's weights in files.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "models/llava/config.h"
#include "models/weight_names.h"

namespace tandem::models::llava {

// From the names of transformers 5's modules, of the original release, and of parts without their
// model to those of the hub's files (llava-hf): language_model.model.*, language_model.lm_head,
// multi_modal_projector.linear_N, vision_tower.vision_model.*.
Weights import_weights(Weights weights, const Settings& settings);

// How many layers the file's connector has: config.json of the hub does not say.
void fit_weights(Settings& settings, const Weights& weights);

}  // namespace tandem::models::llava
