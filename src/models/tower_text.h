#pragma once
// What a tower's output follows from beside its weights and the pixels
// (tandem/models/kept_tower.h).

#include <cstdint>
#include <string>

#include "models/tower_config.h"
#include "tandem/vision/transform.h"

namespace tandem::models {

std::string tower_text(const Tower& tower, std::int64_t patch_size,
                       const vision::ImageSettings& image);

}  // namespace tandem::models
