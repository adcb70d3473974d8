#pragma once
// The parts of a scene beside its objects; private to the world.

#include "tandem/base/random.h"
#include "tandem/data/world/scene.h"

namespace tandem::data::world {

// Words, buttons and motions by the scene's kind; none for Kind::objects.
void draw_extras(Key key, Scene& scene);

}  // namespace tandem::data::world
