#pragma once
// One function a family, defined in its folder (family.cpp).

#include "tandem/models/model.h"

namespace tandem::models {

Family albef_family();
Family blip_family();
Family blip2_family();
Family clip_family();
Family llava_family();
Family qwen25_vl_family();
Family qwen2_vl_family();
Family qwen_vl_family();
Family vilt_family();
Family vlmo_family();

}  // namespace tandem::models
