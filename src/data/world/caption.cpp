#include "tandem/data/world/caption.h"

#include "tandem/base/error.h"

namespace tandem::data::world {
namespace {

std::string text(std::string_view view) { return std::string(view); }

std::string at_place(int place) { return "at the " + text(kPlaceWords[place]); }

// No word of the world's looks begins with a vowel but "orange", which never comes first here.
std::string with_article(const Look& look) { return "a " + describe(look); }

// Items joined by commas, the last one by `last`.
std::string join(const std::vector<std::string>& items, std::string_view last) {
  std::string joined;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) joined += i + 1 == items.size() ? text(last) : ", ";
    joined += items[i];
  }
  return joined;
}

template <class Phrase>
std::string objects_as(const Scene& scene, std::string_view last, const Phrase& phrase) {
  std::vector<std::string> items;
  for (const Object& object : scene.objects) items.push_back(phrase(object));
  return join(items, last);
}

}  // namespace

std::string describe(const Look& look) {
  std::string words = text(kSizeWords[look.size]) + " ";
  if (look.texture == 1) words += text(kTextureWords[1]) + " ";
  return words + text(kColourWords[look.colour]) + " " + text(kShapeWords[look.shape]);
}

std::string full_caption(const Scene& scene, int phrasing) {
  TANDEM_CHECK(phrasing >= 0 && phrasing < kPhrasings, "[world] no such phrasing");
  const std::string background = text(kBackgroundWords[scene.background]) + " background";
  const auto look_then_place = [](const Object& object) {
    return with_article(object.look) + " " + at_place(object.place);
  };
  const auto place_then_look = [](const Object& object) {
    return at_place(object.place) + " " + with_article(object.look);
  };
  switch (phrasing) {
    case 0:
      return objects_as(scene, " and ", look_then_place) + " on a " + background;
    case 1:
      return "there is " + objects_as(scene, " and ", look_then_place) + ", on a " + background;
    case 2:
      return "on a " + background + ": " + objects_as(scene, ", ", place_then_look);
    case 3:
      return "a picture with a " + background + " that shows " +
             objects_as(scene, " and ", look_then_place);
    default:
      return background + "; " + objects_as(scene, "; ", [](const Object& object) {
               return text(kPlaceWords[object.place]) + " " + describe(object.look);
             });
  }
}

std::string full_caption(const Scene& scene, Key key) {
  return full_caption(scene, static_cast<int>(Random(key.fold("phrasing")).below(kPhrasings)));
}

std::vector<std::string> full_captions(const Scene& scene, Key key) {
  const auto first = static_cast<int>(Random(key.fold("phrasing")).below(kPhrasings));
  std::vector<std::string> all;
  for (int i = 0; i < kPhrasings; ++i) all.push_back(full_caption(scene, (first + i) % kPhrasings));
  return all;
}

std::string short_caption(const Scene& scene, Key key) {
  Random random(key.fold("short caption"));
  const std::size_t count = scene.objects.size();
  if (count == 0) return "a " + text(kBackgroundWords[scene.background]) + " background";
  const std::size_t first = random.below(count);
  const std::size_t named = count > 1 && random.below(2) == 0 ? 2 : 1;
  std::vector<std::string> items;
  for (std::size_t i = 0; i < named; ++i) {
    const Object& object = scene.objects[(first + i) % count];
    const std::string_view name = proper_name(object.look);
    std::string item;
    if (!name.empty() && random.below(2) == 0) {
      item = text(name);
    } else {
      const bool coloured = random.below(4) != 0;
      item = "a";
      if (random.below(3) == 0) item += " " + text(kSizeWords[object.look.size]);
      if (coloured) item += " " + text(kColourWords[object.look.colour]);
      if (item == "a orange") item = "an orange";
      item += " " + text(kShapeWords[object.look.shape]);
    }
    if (random.below(3) == 0) item += " " + at_place(object.place);
    items.push_back(std::move(item));
  }
  return join(items, " and ");
}

Scene with_one_change(const Scene& scene, Key key, bool keep_hidden) {
  TANDEM_CHECK(!scene.objects.empty(), "[world] a scene without objects has nothing to change");
  Random random(key.fold("one change"));
  for (;;) {
    Scene changed = scene;
    Object& object = changed.objects[random.below(changed.objects.size())];
    switch (random.below(5)) {
      case 0:
        object.look.shape = static_cast<int>(random.below(kShapes));
        break;
      case 1:
        object.look.colour = static_cast<int>(random.below(kColours));
        break;
      case 2:
        object.look.size = 1 - object.look.size;
        break;
      case 3:
        object.look.texture = 1 - object.look.texture;
        break;
      default: {
        const int place = static_cast<int>(random.below(kPlaces));
        if (object_at(scene, place) != nullptr) continue;
        object.place = place;
      }
    }
    if (keep_hidden && held_out(object.look.shape, object.look.colour)) continue;
    sort_by_place(changed);
    if (!same_meaning(changed, scene)) return changed;
  }
}

}  // namespace tandem::data::world
