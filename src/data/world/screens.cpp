// Screens with buttons, and several pictures in one dialogue, see tasks.h.
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tandem/data/world/draw.h"
#include "task_parts.h"
#include "words.h"

namespace tandem::data::world {
namespace {

Scene screen_of(const SceneRules& rules, std::int64_t index) {
  SceneRules screens = rules;
  screens.kind = Kind::screen;
  return make_scene(screens, index);
}

struct ButtonQuestion {
  std::string kind{}, asked{}, answer{};
};

ButtonQuestion about(const Button& button, Random& random) {
  const std::string named = "the button " + button.text;
  switch (random.below(3)) {
    case 0:
      return {"button", "which button is " + at_the(button.place) + "?", button.text};
    case 1:
      return {"place", "where is " + named + "?", word(kPlaceWords, button.place)};
    default:
      return {"color", "what color is " + named + "?", word(kColourWords, button.colour)};
  }
}

// What only the target is, in words.
std::pair<std::string, std::string> meaning_of(const Scene& screen, Random& random) {
  const Button& target = screen.buttons[static_cast<std::size_t>(screen.target)];
  const auto alike = std::count_if(screen.buttons.begin(), screen.buttons.end(),
                                   [&](const Button& b) { return b.colour == target.colour; });
  switch (random.below(alike == 1 ? 3 : 2)) {
    case 0:
      return {"text", "the button " + target.text};
    case 1:
      return {"place", "the button " + at_the(target.place)};
    default:
      return {"color", "the " + word(kColourWords, target.colour) + " button"};
  }
}

constexpr std::array<std::string_view, 3> kOrdinals{"first", "second", "third"};

std::string ordinal(std::size_t picture) { return std::string(kOrdinals.at(picture)); }

// Of one of the pictures, what can be asked of it beside the pair.
std::pair<std::string, std::string> about_one(const std::vector<Scene>& scenes, Random& random) {
  const std::size_t picture = random.below(scenes.size());
  const Scene& scene = scenes[picture];
  const std::string named = "the " + ordinal(picture) + " picture";
  if (random.below(2) == 0) {
    return {"how many objects are in " + named + "?", std::to_string(scene.objects.size())};
  }
  return {"what color is the background of " + named + "?",
          word(kBackgroundWords, scene.background)};
}

}  // namespace

TaskSample screen_dialogue(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("screen"));
  TaskSample made;
  made.scenes.push_back(screen_of(rules, index));
  const Scene& screen = made.scenes[0];
  const ButtonQuestion first =
      about(screen.buttons[static_cast<std::size_t>(screen.target)], random);
  begin_dialogue(made, first.asked, first.answer);
  const std::uint64_t more = random.below(3);
  for (std::size_t i = 0, asked = 0; i < screen.buttons.size() && asked < more; ++i) {
    if (static_cast<int>(i) == screen.target) continue;
    const ButtonQuestion other = about(screen.buttons[i], random);
    go_on(made, other.asked, other.answer);
    ++asked;
  }
  made.sample.answers = {{made.sample.answer, 1, -1}};
  made.sample.kind = first.kind;
  return made;
}

TaskSample screen_target(const SceneRules& rules, Key key, std::int64_t index, int side) {
  Random random(key.fold("target"));
  TaskSample made;
  made.scenes.push_back(screen_of(rules, index));
  const Scene& screen = made.scenes[0];
  auto [kind, text] = meaning_of(screen, random);
  made.sample.kind = std::move(kind);
  made.sample.texts = {std::move(text)};
  for (const Button& button : screen.buttons) {
    made.sample.proposals.push_back(button_box(button, side));
  }
  made.sample.label = screen.target;
  made.sample.boxes = {made.sample.proposals[static_cast<std::size_t>(screen.target)]};
  return made;
}

// Which picture it is is drawn before the pictures, as in tasks.h.
TaskSample several_pictures(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("several"));
  const std::size_t count = 2 + random.below(2);
  const std::size_t shown = random.below(count);
  const Claim pair = named_pair(rules, random);
  TaskSample made;
  for (std::size_t i = 0; i < count; ++i) {
    Wanted wanted;
    if (i == shown) wanted.shown = {pair};
    wanted.absent = {pair};
    if (random.below(2) == 0) wanted.alike = alike_pairs(pair);
    const auto place = static_cast<std::int64_t>(i);
    made.scenes.push_back(scene_with(
        rules, 3 * index + place, key.fold("picture").fold(static_cast<std::uint64_t>(i)), wanted));
  }
  begin_dialogue(made, "which picture shows " + with_a(pair) + "?", ordinal(shown));
  auto& parts = made.sample.turns[0].parts;  // the first picture and the words
  for (std::size_t i = count - 1; i > 0; --i) {
    parts.insert(parts.begin() + 1, text::picture_part(static_cast<std::int64_t>(i)));
  }
  for (std::uint64_t more = random.below(3); more > 0; --more) {
    const auto [asked, answer] = about_one(made.scenes, random);
    go_on(made, asked, answer);
  }
  made.sample.answers = {{made.sample.answer, 1, -1}};
  made.sample.kind = count == 2 ? "two" : "three";
  return made;
}

}  // namespace tandem::data::world
