#pragma once
// The built-in world as a source: `format: world`, pictures with captions or what `task` says. A
// sample is a pure function of the settings and its index, drawn when it is read; the files it
// needs are none.
//
// Splits: `train` shows no held-out pair of shape and colour, `test` at least one in every picture,
// `hard` is the gallery of gallery.h (500 pictures, Sample.group says which are told apart).
// With `variants: K` samples [gK, (g+1)K) are a contrast_group, and Sample.group is g: with
// `block: K` in the stage's data they come together in a batch.
//
// Sample.texts: the first is drawn by key of (seed, split, index) and is what evaluation reads; a
// processor draws among all of them in training. With `wrong` above 0, Sample.label is 1 where the
// texts are true and 0 where they are wrong, all of them; Sample.kind is then "true", "another
// scene" or "one change". With `only` a sample is a picture alone or texts alone.
//
// The tasks vqa, nlvr2, ve, grounding, dialogue, preference, ocr and clip are those of tasks.h;
// `text` is the captions alone. A clip's frames and their times are Sample.clips[0].

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/base/random.h"
#include "tandem/data/source.h"
#include "tandem/data/world/scene.h"

namespace tandem::data::world {

struct WorldSettings final : Settings {
  std::string task = "caption";    // caption, vqa, nlvr2, ve, grounding, dialogue, preference, ocr,
                                   // clip, text
  std::string answers = "closed";  // of vqa: closed, open
  std::string split = "train";     // train, test, hard
  std::int64_t size = 100'000;     // samples; of `hard` always 500
  std::int64_t side = 64;          // pixels: 64, 96 or 224
  std::int64_t max_objects = kMaxObjects;
  std::int64_t min_objects = 1;
  std::string captions = "full";  // full, short, mixed
  double wrong = 0;               // share of wrong captions
  std::int64_t variants = 1;      // samples of one scene that differ in a binding or an attribute
  std::int64_t seed = 0;
  std::string only{};  // pictures, texts: the other half is left out (and not drawn)
  std::vector<std::int64_t> rates{2};  // of clips: frames a second, drawn from these
  // Of captions: Sample::boxes and box_names, the shapes' names. Of ocr: the lines' boxes and
  // words, and no dialogue.
  bool boxes = false;

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(config) for settings that `fields` reports as problems.
std::unique_ptr<Source> open_world(const WorldSettings& settings);

// What a sample of captions shows; nullopt: the source is not the world, or has another task.
std::optional<Scene> scene_of(const Source& source, std::int64_t index);

// The draws of a sample's texts. `split` is that of WorldSettings.
Key caption_key(std::uint64_t seed, std::string_view split, std::int64_t index);

}  // namespace tandem::data::world
