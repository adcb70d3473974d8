// The table of the systems: one line each.

#include "models/families.h"

#include <algorithm>

#include "tandem/base/error.h"

namespace tandem::models {

const std::vector<Family>& families() {
  static const std::vector<Family> table{
      albef_family(),     blip_family(),     blip2_family(),   clip_family(), llava_family(),
      qwen25_vl_family(), qwen2_vl_family(), qwen_vl_family(), vilt_family(), vlmo_family(),
  };
  return table;
}

const Family& family(std::string_view name) {
  std::string known;
  for (const Family& family : families()) {
    if (family.name == name) return family;
    known += (known.empty() ? "" : ", ") + family.name;
  }
  throw Error(ErrorKind::config,
              "[models] expected a family: " + known + "; got " + std::string(name));
}

const Family* family_of_architecture(std::string_view architecture) {
  for (const Family& family : families()) {
    const auto& names = family.architectures;
    if (std::find(names.begin(), names.end(), architecture) != names.end()) return &family;
  }
  return nullptr;
}

}  // namespace tandem::models
