#include "tandem/data/world/scene.h"

#include <algorithm>

#include "scene_parts.h"
#include "tandem/base/error.h"
#include "tandem/base/random.h"

namespace tandem::data::world {
namespace {

struct Pair {
  int shape = 0, colour = 0;
};

std::vector<Pair> pairs_where(bool wanted_held_out) {
  std::vector<Pair> pairs;
  for (int shape = 0; shape < kShapes; ++shape) {
    for (int colour = 0; colour < kColours; ++colour) {
      if (held_out(shape, colour) == wanted_held_out) pairs.push_back({shape, colour});
    }
  }
  return pairs;
}

const std::vector<Pair>& shown_pairs() {
  static const std::vector<Pair> pairs = pairs_where(false);
  return pairs;
}

const std::vector<Pair>& hidden_pairs() {
  static const std::vector<Pair> pairs = pairs_where(true);
  return pairs;
}

int draw_below(Random& random, std::size_t n) { return static_cast<int>(random.below(n)); }

Pair draw_pair(Random& random, const std::vector<Pair>& pairs) {
  return pairs[random.below(pairs.size())];
}

// Test scenes of one object: the few looks are dealt out without repeats, so that captions of a
// test set differ even where only one object is named.
void deal_single(const SceneRules& rules, Scene& scene) {
  const auto pairs = static_cast<std::uint64_t>(hidden_pairs().size());
  const std::uint64_t looks = pairs * kSizes * kTextures * kPlaces * kBackgrounds;
  const Key deal = Key(rules.seed).fold("world single").fold(kVersion);
  std::uint64_t rest = permute(deal, static_cast<std::uint64_t>(scene.index) % looks, looks);
  const auto next = [&rest](std::uint64_t n) {
    const auto digit = static_cast<int>(rest % n);
    rest /= n;
    return digit;
  };
  Object& object = scene.objects.front();
  object.look.size = next(kSizes);
  object.look.texture = next(kTextures);
  object.place = next(kPlaces);
  scene.background = next(kBackgrounds);
  const Pair pair = hidden_pairs()[rest];
  object.look.shape = pair.shape;
  object.look.colour = pair.colour;
}

void draw_objects(const SceneRules& rules, Key key, Scene& scene) {
  Random random(key.fold("objects"));
  scene.background = draw_below(random, kBackgrounds);
  const int few = rules.min_objects, many = rules.max_objects;
  const int count = few + draw_below(random, static_cast<std::size_t>(many - few + 1));
  const int hidden = draw_below(random, static_cast<std::size_t>(count));  // test: this one is new
  std::array<int, kPlaces> places{0, 1, 2, 3, 4, 5, 6, 7, 8};
  const int free = scene.kind == Kind::worded ? 6 : kPlaces;  // the word has the lowest row
  for (int i = 0; i < count; ++i) {
    std::swap(places[i], places[i + draw_below(random, static_cast<std::size_t>(free - i))]);
    Object object;
    object.place = places[i];
    Pair pair;
    if (rules.split == Split::train) {
      pair = draw_pair(random, shown_pairs());
    } else if (i == hidden) {
      pair = draw_pair(random, hidden_pairs());
    } else {
      pair = {draw_below(random, kShapes), draw_below(random, kColours)};
    }
    object.look = {pair.shape, pair.colour, draw_below(random, kSizes),
                   draw_below(random, kTextures)};
    scene.objects.push_back(object);
  }
  if (count == 1 && rules.split == Split::test && free == kPlaces) deal_single(rules, scene);
  sort_by_place(scene);
}

// Small differences that no text names. A large object fills its cell more, so it moves less.
void draw_nuisance(Key key, Scene& scene) {
  Random random(key.fold("nuisance"));
  for (Object& object : scene.objects) {
    const std::int64_t room = object.look.size == 0 ? 140 : 50;
    object.shift_x = static_cast<int>(random.between(-room, room));
    object.shift_y = static_cast<int>(random.between(-room, room));
    object.shade = static_cast<int>(random.between(-16, 16));
  }
}

struct NamedLook {
  Look look;
  std::string_view name;
};

// Shown in training about once in 150 objects each; none is a held-out pair.
constexpr std::array<NamedLook, 6> kNamed{{{{0, 2, 1, 1}, "Solara"},
                                           {{1, 3, 0, 0}, "Minto"},
                                           {{2, 6, 1, 1}, "Vexil"},
                                           {{3, 0, 0, 1}, "Rubra"},
                                           {{4, 5, 1, 0}, "Azuro"},
                                           {{5, 7, 0, 1}, "Pirou"}}};

}  // namespace

Scene make_scene(const SceneRules& rules, std::int64_t index) {
  TANDEM_CHECK(index >= 0, "[world] a scene's index is not negative");
  TANDEM_CHECK(rules.max_objects >= 1 && rules.max_objects <= kMaxObjects,
               "[world] max_objects is 1 to 6");
  TANDEM_CHECK(rules.min_objects >= 1 && rules.min_objects <= rules.max_objects,
               "[world] min_objects is 1 to max_objects");
  Scene scene;
  scene.kind = rules.kind;
  scene.index = index;
  // The kind is not part of the key: the objects of a scene and of its clip are the same.
  const Key key = Key(rules.seed)
                      .fold("world")
                      .fold(kVersion)
                      .fold(rules.split == Split::train ? "train" : "test")
                      .fold(static_cast<std::uint64_t>(index));
  if (rules.kind != Kind::page && rules.kind != Kind::screen) {
    draw_objects(rules, key, scene);
    draw_nuisance(key, scene);
  }
  draw_extras(key, scene);
  return scene;
}

std::string_view proper_name(const Look& look) {
  for (const NamedLook& named : kNamed) {
    if (named.look == look) return named.name;
  }
  return {};
}

bool same_meaning(const Scene& a, const Scene& b) {
  const auto same = [](const Object& x, const Object& y) {
    return x.place == y.place && x.look == y.look;
  };
  return a.background == b.background &&
         std::equal(a.objects.begin(), a.objects.end(), b.objects.begin(), b.objects.end(), same);
}

const Object* object_at(const Scene& scene, int place) {
  for (const Object& object : scene.objects) {
    if (object.place == place) return &object;
  }
  return nullptr;
}

void sort_by_place(Scene& scene) {
  std::sort(scene.objects.begin(), scene.objects.end(),
            [](const Object& a, const Object& b) { return a.place < b.place; });
}

}  // namespace tandem::data::world
