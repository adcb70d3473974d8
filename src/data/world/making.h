#pragma once
// Scenes made to order: what a question or a sentence of the world's tasks needs to be shown, in
// scenes that are else as they are drawn. Private to the world.

#include <string>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/scene.h"

namespace tandem::data::world {

struct Wanted {
  std::vector<Claim> shown{};   // an object for each of them
  std::vector<Claim> absent{};  // no object beside those is like one of these
  // Objects that are easily taken for those, where there is room for them.
  std::vector<Claim> alike{};
};

// Has two objects or more. Train: no held-out pair; test: at least one (DESIGN 8). A claim of
// `shown` names no held-out pair in training. max_objects from 2.
Scene scene_with(const SceneRules& rules, std::int64_t index, Key key, const Wanted& wanted);

// A look that is as the claim says, the rest drawn; in training never a held-out pair.
Look look_with(const SceneRules& rules, Random& random, const Claim& claim);

// A shape and a colour for a text to name: in training none that is held out, in tests a held-out
// one half of the time.
Claim named_pair(const SceneRules& rules, Random& random);

// Whatever shares one of the two with the pair.
std::vector<Claim> alike_pairs(const Claim& pair);

// "a red ring", "an orange ring"; "red rings"; "red object" where no shape is said.
std::string noun(const Claim& claim);
std::string plural(const Claim& claim);
std::string with_a(const Claim& claim);
std::string at_the(int place);  // "at the top left"

int draw_below(Random& random, int n);

}  // namespace tandem::data::world
