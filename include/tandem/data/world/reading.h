#pragma once
// Captions read back: what a text of caption.h says, and whether it is true of a scene. The oracle
// of the fairness tests, and the judge of wrong captions.

#include <optional>
#include <string_view>
#include <vector>

#include "tandem/data/world/scene.h"

namespace tandem::data::world {

// What a text says of one object; what it leaves out is nullopt.
struct Claim {
  std::optional<int> shape{}, colour{}, size{}, texture{}, place{};
};

// What is said is so of the object.
bool satisfies(const Object& object, const Claim& claim);

// A text that names the background is complete: it names every object, and "striped" where it
// holds.
struct Description {
  std::optional<int> background{};
  std::vector<Claim> claims{};
};

// nullopt for a text with a word that no caption of ours uses.
std::optional<Description> read_caption(std::string_view text);

// True of a complete description when it is the scene's, of another one when its claims can be
// given to different objects that satisfy them.
bool agrees(const Description& description, const Scene& scene);

}  // namespace tandem::data::world
