#pragma once
// Captions of scenes. A full caption names the background and, of every object, size, shape,
// colour, place, and the texture when it is striped; its words are those of scene.h's tables.

#include <string>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/world/scene.h"

namespace tandem::data::world {

inline constexpr int kPhrasings = 5;

// "large striped red ring"
std::string describe(const Look& look);

// The full caption in one of the phrasings, 0 to kPhrasings - 1.
std::string full_caption(const Scene& scene, int phrasing);
// The phrasing drawn by key.
std::string full_caption(const Scene& scene, Key key);

// All phrasings, the drawn one first.
std::vector<std::string> full_captions(const Scene& scene, Key key);

// A true caption that leaves things out: one or two of the objects, some of their attributes, a
// proper name where an object has one.
std::string short_caption(const Scene& scene, Key key);

// A scene with one attribute of one object changed (shape, colour, size, texture, or its place to a
// free one), so that its full caption is wrong of `scene`. With `keep_hidden`, no held-out pair is
// made: text for training never names one.
Scene with_one_change(const Scene& scene, Key key, bool keep_hidden);

}  // namespace tandem::data::world
