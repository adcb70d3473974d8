#pragma once
// One function a family, defined in its folder (family.cpp).

#include "tandem/models/model.h"

namespace tandem::models {

Family albef_family();
Family blip_family();
Family clip_family();
Family vilt_family();
Family vlmo_family();

}  // namespace tandem::models
