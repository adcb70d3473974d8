#pragma once
// The hard gallery: 50 test scenes, 10 variants of each. Variant 0 is the scene itself; seven have
// the same attributes bound in another way (two objects exchange colours, shapes, sizes, textures,
// several of these, or places); two have one attribute changed to one that it does not have.
// Whoever sees only which attributes occur can tell three classes apart: 0.30 expected.

#include <cstdint>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/world/scene.h"

namespace tandem::data::world {

inline constexpr int kHardGroups = 50, kHardVariants = 10, kHardBindings = 7;
inline constexpr std::int64_t kHardSize = kHardGroups * kHardVariants;

inline constexpr int kMaxVariants = 16;

// Scene `index` of the gallery, 0 <= index < kHardSize; its group is index / kHardVariants, and the
// position of variant 0 within its group is drawn by key. max_objects from 2.
Scene hard_scene(const SceneRules& rules, std::int64_t index);

// The ten scenes of a group, in the gallery's order.
std::vector<Scene> hard_group(const SceneRules& rules, int group);

// Scene `group` of the rules and `variants` - 1 others (1 to kMaxVariants together) that differ
// from it in the binding (7 of 9, as in the gallery, where the scene has so many) or in one
// attribute, in an order drawn by key; all differ from each other. Of training scenes none holds a
// held-out pair. A batch of such groups holds the negatives that are hard to tell apart.
std::vector<Scene> contrast_group(const SceneRules& rules, std::int64_t group, int variants);

}  // namespace tandem::data::world
