#pragma once
// Instruction data about a scene as a language model would write it from captions and boxes, but
// exact: what the tests of that job compare with. Texts name only what the scene shows, or single
// shapes.

#include <string>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/world/scene.h"

namespace tandem::data::world {

struct ExactAnswer {
  std::string question{}, answer{};
};

// Three to six questions with their answers, none twice: counts, what is where, colours of what
// there is one of, whether there is a shape, the background.
std::vector<ExactAnswer> exact_conversation(const Scene& scene, Key key);
// Everything that the scene shows: one of caption.h's full captions.
std::string exact_description(const Scene& scene, Key key);
// "are there more rings than circles? say why.": of the shapes that are there, or one that is not.
ExactAnswer exact_reasoning(const Scene& scene, Key key);

}  // namespace tandem::data::world
