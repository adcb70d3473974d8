#pragma once
// Pixels of a scene. Integers only, so that they are the same on every machine.
//
// A picture's side is cut into 3 x 3 cells of `side` units, 3 units a pixel: every pixel is the
// mean of 3 x 3 samples. Boxes are those of the shapes as they are drawn.

#include "tandem/data/sample.h"
#include "tandem/data/world/scene.h"
#include "tandem/vision/image.h"

namespace tandem::data::world {

constexpr bool is_side(int side) { return side == 64 || side == 96 || side == 224; }

// One frame of the scene (0 for a still picture), side x side. `side` is 64, 96 or 224.
vision::Image draw(const Scene& scene, int side, int frame = 0);

// All frames of a scene that moves, with their times.
Clip draw_clip(const Scene& scene, int side);

// The box around an object or a button, in pixels, clipped to the picture; x1 and y1 are exclusive.
Box object_box(const Scene& scene, const Object& object, int side, int frame = 0);
Box button_box(const Button& button, int side);
// The one around a word's letters, on its line of a page, or at the foot of a picture; not clipped.
Box word_box(const Scene& scene, const Word& word, int side);

}  // namespace tandem::data::world
