#include "making.h"

#include <algorithm>
#include <numeric>

#include "tandem/base/error.h"
#include "words.h"

namespace tandem::data::world {
namespace {

constexpr int kTries = 1000;
constexpr int kTriesWithAlike = 8;  // then without: few objects leave no room for them
constexpr std::int64_t kFar = std::int64_t{1} << 41;  // between the scenes of two tries

bool is_like_any(const Object& object, const std::vector<Claim>& claims) {
  return std::any_of(claims.begin(), claims.end(),
                     [&](const Claim& claim) { return satisfies(object, claim); });
}

bool is_held_out(const Object& object) { return held_out(object.look.shape, object.look.colour); }

void add_object(Scene& scene, const SceneRules& rules, Random& random) {
  Object object;
  do {
    object.place = draw_below(random, kPlaces);
  } while (object_at(scene, object.place) != nullptr);
  object.look = look_with(rules, random, {});
  object.shift_x = static_cast<int>(random.between(-50, 50));
  object.shift_y = static_cast<int>(random.between(-50, 50));
  object.shade = static_cast<int>(random.between(-16, 16));
  scene.objects.push_back(object);
}

// Puts the object there; what stands there goes where it was.
void move_to(Scene& scene, Object& object, int place) {
  for (Object& other : scene.objects) {
    if (&other != &object && other.place == place) other.place = object.place;
  }
  object.place = place;
}

// Another look that is as the claim says and like none of `absent`; false when there is none.
bool look_anew(const SceneRules& rules, Random& random, const Claim& claim,
               const std::vector<Claim>& absent, Object& object) {
  for (int i = 0; i < 64; ++i) {
    object.look = look_with(rules, random, claim);
    if (!is_like_any(object, absent)) return true;
  }
  return false;
}

// Gives one of the objects [first, ...) of `order` a held-out pair.
bool show_held_out(const Wanted& wanted, const std::vector<std::size_t>& order, std::size_t first,
                   Random& random, Scene& scene) {
  for (int i = 0; i < 64 && first < order.size(); ++i) {
    const std::size_t rest = order.size() - first;
    Object& object = scene.objects[order[first + random.below(rest)]];
    const Look before = object.look;
    object.look.shape = draw_below(random, kShapes);
    object.look.colour = draw_below(random, kColours);
    if (is_held_out(object) && !is_like_any(object, wanted.absent)) return true;
    object.look = before;
  }
  return false;
}

bool fit(const SceneRules& rules, const Wanted& wanted, bool with_alike, Random& random,
         Scene& scene) {
  std::vector<Claim> parts = wanted.shown;
  const std::size_t shown = parts.size(), most = static_cast<std::size_t>(rules.max_objects);
  if (shown > most) return false;
  if (with_alike) parts.insert(parts.end(), wanted.alike.begin(), wanted.alike.end());
  if (parts.size() > most) parts.resize(most);
  const std::size_t least = std::max<std::size_t>(2, parts.size());
  while (scene.objects.size() < least) add_object(scene, rules, random);

  std::vector<std::size_t> order(scene.objects.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  for (std::size_t i = 0; i < order.size(); ++i) {
    Object& object = scene.objects[order[i]];
    if (i < shown) {
      object.look = look_with(rules, random, parts[i]);
    } else if (i < parts.size()) {
      if (!look_anew(rules, random, parts[i], wanted.absent, object)) return false;
    } else if (is_like_any(object, wanted.absent)) {
      if (!look_anew(rules, random, {}, wanted.absent, object)) return false;
    }
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].place) move_to(scene, scene.objects[order[i]], *parts[i].place);
  }
  if (rules.split == Split::test &&
      std::none_of(scene.objects.begin(), scene.objects.end(), is_held_out) &&
      !show_held_out(wanted, order, parts.size(), random, scene)) {
    return false;
  }
  sort_by_place(scene);
  return true;
}

std::string attributes(const Claim& claim) {
  std::string words;
  if (claim.size) words += word(kSizeWords, *claim.size) + " ";
  if (claim.texture) words += word(kTextureWords, *claim.texture) + " ";
  if (claim.colour) words += word(kColourWords, *claim.colour) + " ";
  return words;
}

}  // namespace

int draw_below(Random& random, int n) {
  return static_cast<int>(random.below(static_cast<std::uint64_t>(n)));
}

Look look_with(const SceneRules& rules, Random& random, const Claim& claim) {
  for (int i = 0; i < kTries; ++i) {
    Look look;
    look.shape = claim.shape ? *claim.shape : draw_below(random, kShapes);
    look.colour = claim.colour ? *claim.colour : draw_below(random, kColours);
    look.size = claim.size ? *claim.size : draw_below(random, kSizes);
    look.texture = claim.texture ? *claim.texture : draw_below(random, kTextures);
    if (rules.split == Split::test || !held_out(look.shape, look.colour)) return look;
  }
  TANDEM_CHECK(false, "[world] a text of training names a held-out pair");
  return {};
}

Scene scene_with(const SceneRules& rules, std::int64_t index, Key key, const Wanted& wanted) {
  TANDEM_CHECK(rules.max_objects >= 2, "[world] the tasks need max_objects of at least 2");
  for (int attempt = 0; attempt < kTries; ++attempt) {
    Scene scene = make_scene(rules, index + kFar * attempt);
    scene.index = index;
    Random random(key.fold("made").fold(static_cast<std::uint64_t>(attempt)));
    if (fit(rules, wanted, attempt < kTriesWithAlike, random, scene)) return scene;
  }
  TANDEM_CHECK(false, "[world] no scene shows what is wanted");
  return {};
}

Claim named_pair(const SceneRules& rules, Random& random) {
  const bool hidden = rules.split == Split::test && random.below(2) == 0;
  for (;;) {
    const Look look = look_with(rules, random, {});
    if (hidden && !held_out(look.shape, look.colour)) continue;
    Claim pair;
    pair.shape = look.shape;
    pair.colour = look.colour;
    return pair;
  }
}

std::vector<Claim> alike_pairs(const Claim& pair) {
  Claim shape, colour;
  shape.shape = pair.shape;
  colour.colour = pair.colour;
  return {shape, colour};
}

std::string noun(const Claim& claim) {
  return attributes(claim) + (claim.shape ? word(kShapeWords, *claim.shape) : "object");
}

std::string plural(const Claim& claim) {
  const std::string one = noun(claim);
  return one + (one.ends_with("s") ? "es" : "s");
}

std::string with_a(const Claim& claim) {
  const std::string one = noun(claim);
  return (one.starts_with("o") ? "an " : "a ") + one;
}

std::string at_the(int place) { return "at the " + word(kPlaceWords, place); }

}  // namespace tandem::data::world
