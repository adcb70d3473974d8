#pragma once
// What a Processor made of a picture, for a person to look at.

#include "tandem/tensor/batch.h"
#include "tandem/vision/image.h"

namespace tandem::models {

// The first picture of a batch whose pixels are uint8 [B, 3, H, W], on the host. An empty picture
// where there is none of that kind.
vision::Image view_of(const Batch& batch);

}  // namespace tandem::models
