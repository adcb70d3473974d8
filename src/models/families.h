#pragma once
// One function a family, defined in its folder (family.cpp).

#include "tandem/models/model.h"

namespace tandem::models {

Family clip_family();

}  // namespace tandem::models
