// Words, screens and motion: drawn under keys of their own, so that they never move an object.
#include <algorithm>
#include <array>
#include <string>

#include "scene_parts.h"

namespace tandem::data::world {
namespace {

// Syllables give pronounceable words of two to three syllables that no list needs to hold.
std::string draw_word(Random& random) {
  constexpr std::string_view consonants = "BDFGKLMNPRSTVZ", vowels = "AEIOU";
  std::string word;
  const std::int64_t syllables = random.between(1, 2);
  for (std::int64_t i = 0; i < syllables; ++i) {
    word += consonants[random.below(consonants.size())];
    word += vowels[random.below(vowels.size())];
  }
  word += consonants[random.below(consonants.size())];
  return word;
}

void draw_page(Random& random, Scene& scene) {
  const std::int64_t lines = random.between(1, 5);
  for (int line = 0; line < lines; ++line) {
    // A line holds ten characters at most (draw.h): a word of at most five, sometimes a number.
    std::string text = draw_word(random);
    if (random.below(3) == 0) text += " " + std::to_string(random.between(0, 999));
    scene.words.push_back({std::move(text), line});
  }
}

void draw_screen(Random& random, Scene& scene) {
  std::array<int, kPlaces> places{0, 1, 2, 3, 4, 5, 6, 7, 8};
  const int count = static_cast<int>(random.between(2, 6));
  for (int i = 0; i < count; ++i) {
    std::swap(places[i], places[i + random.below(static_cast<std::uint64_t>(kPlaces - i))]);
    Button button;
    button.place = places[i];
    button.colour = static_cast<int>(random.below(kColours));
    do {  // three letters fit; no two buttons read the same
      button.text = draw_word(random).substr(0, 3);
    } while (std::any_of(scene.buttons.begin(), scene.buttons.end(),
                         [&](const Button& other) { return other.text == button.text; }));
    scene.buttons.push_back(std::move(button));
  }
  std::sort(scene.buttons.begin(), scene.buttons.end(),
            [](const Button& a, const Button& b) { return a.place < b.place; });
  scene.target = static_cast<int>(random.below(static_cast<std::uint64_t>(count)));
}

void draw_motion(Random& random, Scene& scene) {
  scene.frames_per_second = 2;
  scene.frames = 2 * static_cast<int>(random.between(4, 8));
  const int seconds = scene.frames / scene.frames_per_second;
  for (Object& object : scene.objects) {
    if (random.below(3) == 0) continue;  // stands still
    const int column = object.place % 3, row = object.place / 3;
    Motion& motion = object.motion;
    const bool sideways = random.below(2) == 0;
    const int at = sideways ? column : row;  // it moves away from the nearer edge: stays in sight
    const int way = at == 0 ? 1 : at == 2 ? -1 : random.below(2) == 0 ? 1 : -1;
    (sideways ? motion.dx : motion.dy) = way;
    motion.speed = static_cast<int>(random.between(1, 2));
    motion.start = static_cast<int>(random.between(0, seconds - 2));
    // Whole cells in four seconds: at most one cell from the middle, two from an edge.
    const int reach = 4 * (at == 1 ? 1 : 2) / motion.speed;
    motion.seconds = std::min(reach, seconds - motion.start);
  }
}

}  // namespace

void draw_extras(Key key, Scene& scene) {
  Random random(key.fold("extras"));
  switch (scene.kind) {
    case Kind::objects:
      return;
    case Kind::worded:
      scene.words.push_back({draw_word(random), 0});
      return;
    case Kind::page:
      scene.background = static_cast<int>(random.below(kBackgrounds));
      return draw_page(random, scene);
    case Kind::screen:
      scene.background = static_cast<int>(random.below(kBackgrounds));
      return draw_screen(random, scene);
    case Kind::clip:
      return draw_motion(random, scene);
  }
}

}  // namespace tandem::data::world
