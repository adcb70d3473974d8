#pragma once
// The parts of a scene beside its objects; private to the world.

#include <algorithm>

#include "tandem/base/random.h"
#include "tandem/data/world/scene.h"

namespace tandem::data::world {

// Words, buttons and motions by the scene's kind; none for Kind::objects.
void draw_extras(Key key, Scene& scene);

inline bool shows_held_out(const Scene& scene) {
  return std::any_of(scene.objects.begin(), scene.objects.end(), [](const Object& object) {
    return held_out(object.look.shape, object.look.colour);
  });
}

}  // namespace tandem::data::world
