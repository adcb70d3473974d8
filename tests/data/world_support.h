#pragma once
// What tests ask of scenes and their texts.

#include <cstdint>
#include <string>

#include "tandem/data/world/reading.h"
#include "tandem/data/world/scene.h"

namespace tandem::testing {

inline data::world::SceneRules rules_of(data::world::Split split,
                                        int max_objects = data::world::kMaxObjects,
                                        std::uint64_t seed = 0) {
  data::world::SceneRules rules;
  rules.split = split;
  rules.max_objects = max_objects;
  rules.seed = seed;
  return rules;
}

inline int held_out_pairs(const data::world::Scene& scene) {
  int pairs = 0;
  for (const data::world::Object& object : scene.objects) {
    pairs += data::world::held_out(object.look.shape, object.look.colour) ? 1 : 0;
  }
  return pairs;
}

// The words of a colour directly before those of a shape, held out.
inline bool names_held_out(const std::string& text) {
  using namespace data::world;
  for (int shape = 0; shape < kShapes; ++shape) {
    for (int colour = 0; colour < kColours; ++colour) {
      const std::string pair =
          std::string(kColourWords[colour]) + " " + std::string(kShapeWords[shape]);
      if (held_out(shape, colour) && text.find(pair) != std::string::npos) return true;
    }
  }
  return false;
}

}  // namespace tandem::testing
