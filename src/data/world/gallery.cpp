#include "tandem/data/world/gallery.h"

#include <algorithm>
#include <utility>

#include "scene_parts.h"
#include "tandem/base/error.h"
#include "tandem/data/world/caption.h"

namespace tandem::data::world {
namespace {

enum Part : unsigned { colour = 1, shape = 2, size = 4, texture = 8, looks = 15 };

void exchange(Look& a, Look& b, unsigned parts) {
  if ((parts & colour) != 0) std::swap(a.colour, b.colour);
  if ((parts & shape) != 0) std::swap(a.shape, b.shape);
  if ((parts & size) != 0) std::swap(a.size, b.size);
  if ((parts & texture) != 0) std::swap(a.texture, b.texture);
}

bool is_new(const std::vector<Scene>& known, const Scene& scene) {
  return std::none_of(known.begin(), known.end(),
                      [&](const Scene& other) { return same_meaning(other, scene); });
}

template <class T>
void shuffle(std::vector<T>& items, Random& random) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.below(i)]);
}

// One attribute exchanged, or all of them (which is: the places exchanged), come before several.
bool is_simple(unsigned parts) { return parts == looks || (parts & (parts - 1)) == 0; }

struct Exchange {
  std::size_t i = 0, j = 0;
  unsigned parts = 0;
};

std::vector<Exchange> exchanges_of(const Scene& scene, Random& random) {
  std::vector<Exchange> all;
  for (std::size_t i = 0; i < scene.objects.size(); ++i) {
    for (std::size_t j = i + 1; j < scene.objects.size(); ++j) {
      for (unsigned parts = 1; parts <= looks; ++parts) all.push_back({i, j, parts});
    }
  }
  shuffle(all, random);
  std::stable_partition(all.begin(), all.end(),
                        [](const Exchange& one) { return is_simple(one.parts); });
  return all;
}

struct GroupRules {
  std::size_t size = kHardVariants, bindings = kHardBindings;
  bool keep_hidden = false;  // no held-out pair in any variant
  bool all_bindings = true;  // a scene with fewer gives no group, else single changes fill it up
};

// Empty when the scene has too few different bindings.
std::vector<Scene> variants_of(const Scene& scene, Key key, const GroupRules& rules) {
  Random random(key.fold("variants"));
  std::vector<Scene> group{scene};
  for (const Exchange& one : exchanges_of(scene, random)) {
    if (group.size() == 1 + rules.bindings) break;
    Scene changed = scene;
    exchange(changed.objects[one.i].look, changed.objects[one.j].look, one.parts);
    if (rules.keep_hidden && shows_held_out(changed)) continue;
    if (is_new(group, changed)) group.push_back(std::move(changed));
  }
  if (rules.all_bindings && group.size() < 1 + rules.bindings) return {};
  for (std::uint64_t attempt = 0; group.size() < rules.size; ++attempt) {
    Scene changed = with_one_change(scene, key.fold("change").fold(attempt), rules.keep_hidden);
    if (is_new(group, changed)) group.push_back(std::move(changed));
  }
  shuffle(group, random);
  return group;
}

}  // namespace

std::vector<Scene> hard_group(const SceneRules& rules, int group) {
  TANDEM_CHECK(rules.max_objects >= 2, "[world] the hard gallery needs max_objects of at least 2");
  TANDEM_CHECK(group >= 0 && group < kHardGroups, "[world] no such group of the hard gallery");
  SceneRules test = rules;
  test.split = Split::test;
  test.kind = Kind::objects;
  const Key key =
      Key(rules.seed).fold("world hard").fold(kVersion).fold(static_cast<std::uint64_t>(group));
  // Far behind the indices of a test set; scenes with too few bindings are passed over.
  constexpr std::int64_t base = std::int64_t{1} << 40, room = std::int64_t{1} << 16;
  for (std::int64_t attempt = 0; attempt < room; ++attempt) {
    const Scene scene = make_scene(test, base + group * room + attempt);
    std::vector<Scene> variants =
        variants_of(scene, key.fold(static_cast<std::uint64_t>(attempt)), {});
    if (variants.empty()) continue;
    for (int i = 0; i < kHardVariants; ++i) variants[i].index = group * kHardVariants + i;
    return variants;
  }
  TANDEM_CHECK(false, "[world] no scene with enough bindings in 65536");
  return {};
}

Scene hard_scene(const SceneRules& rules, std::int64_t index) {
  TANDEM_CHECK(index >= 0 && index < kHardSize, "[world] the hard gallery has 500 scenes");
  return hard_group(rules, static_cast<int>(index / kHardVariants))[index % kHardVariants];
}

std::vector<Scene> contrast_group(const SceneRules& rules, std::int64_t group, int variants) {
  TANDEM_CHECK(variants >= 1 && variants <= kMaxVariants, "[world] 1 to 16 variants of a scene");
  const bool train = rules.split == Split::train;
  const Key key = Key(rules.seed)
                      .fold("world contrast")
                      .fold(kVersion)
                      .fold(train ? "train" : "test")
                      .fold(static_cast<std::uint64_t>(group));
  // One change of a scene of one object gives at least 18 others without a held-out pair (3 shapes,
  // 5 colours, a size, a texture, 8 places), and more objects give more: a group is always filled.
  constexpr int others = kHardVariants - 1;
  const auto bindings =
      static_cast<std::size_t>(((variants - 1) * kHardBindings + others / 2) / others);
  std::vector<Scene> scenes = variants_of(
      make_scene(rules, group), key, {static_cast<std::size_t>(variants), bindings, train, false});
  for (int i = 0; i < variants; ++i)
    scenes[static_cast<std::size_t>(i)].index = group * variants + i;
  return scenes;
}

}  // namespace tandem::data::world
