#pragma once
// Recorded pictures through a vision transformer, as the original's classes take them.

#include "models/reference_inputs.h"
#include "tandem/nn/vit.h"

namespace tandem::models {

// input.pixel_values through the whole tower, [B, 1 + P, D]. Hugging Face's rule: without
// input.interpolate_pos_encoding the first rows of the table of positions are taken, whatever the
// pictures' grid.
at::Tensor vision_rows(const nn::Vit& vit, const ReferenceInputs& inputs);

}  // namespace tandem::models
