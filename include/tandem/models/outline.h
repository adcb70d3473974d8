#pragma once
// A model of names and shapes alone, for what is decided before anything is loaded.

#include <memory>

#include "tandem/models/model.h"

namespace tandem::models {

// Its parameters are on the meta device; it answers losses_known, abilities (whether, not what),
// chance_levels, parameters and buffers.
std::unique_ptr<Model> make_outline(const Family& family, const Settings& settings);

}  // namespace tandem::models
