// The world's screens and its dialogues over several pictures: what is said is so, an oracle finds
// it, and where the answer stands is spread evenly.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "tandem/data/world/draw.h"
#include "tandem/data/world/source.h"
#include "tandem/data/world/tasks.h"
#include "world_support.h"

namespace world_screens_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::data::world;
using namespace tandem::testing;

namespace {

const std::vector<std::string> kCounted{"first", "second", "third"};

std::string said_in(const Turn& turn) {
  std::string words;
  for (const text::Part& part : turn.parts) words += part.text;
  return words;
}

template <class Table>
std::string named(const Table& table, int number) {
  return std::string(table[static_cast<std::size_t>(number)]);
}

// What stands between two pieces of a text; empty: they are not its ends.
std::string between(const std::string& text, const std::string& before, const std::string& after) {
  if (!text.starts_with(before) || !text.ends_with(after)) return {};
  return text.substr(before.size(), text.size() - before.size() - after.size());
}

std::string read_screen(const std::string& asked, const Scene& screen) {
  const std::string place = between(asked, "which button is at the ", "?");
  const std::string where = between(asked, "where is the button ", "?");
  const std::string colour = between(asked, "what color is the button ", "?");
  for (const Button& button : screen.buttons) {
    if (!place.empty() && place == named(kPlaceWords, button.place)) return button.text;
    if (!where.empty() && where == button.text) return named(kPlaceWords, button.place);
    if (!colour.empty() && colour == button.text) return named(kColourWords, button.colour);
  }
  return {};
}

bool shows(const Scene& scene, const std::string& pair) {
  return std::any_of(scene.objects.begin(), scene.objects.end(), [&](const Object& object) {
    return pair ==
           named(kColourWords, object.look.colour) + " " + named(kShapeWords, object.look.shape);
  });
}

// The answers that are right: one, where the question is a good one.
std::vector<std::string> read_pictures(const std::string& asked, const std::vector<Scene>& scenes) {
  std::vector<std::string> right;
  for (const char* article : {"a ", "an "}) {
    const std::string pair = between(asked, std::string("which picture shows ") + article, "?");
    for (std::size_t i = 0; i < scenes.size() && !pair.empty(); ++i) {
      if (shows(scenes[i], pair)) right.push_back(kCounted[i]);
    }
  }
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    if (asked == "how many objects are in the " + kCounted[i] + " picture?") {
      right.push_back(std::to_string(scenes[i].objects.size()));
    }
    if (asked == "what color is the background of the " + kCounted[i] + " picture?") {
      right.push_back(named(kBackgroundWords, scenes[i].background));
    }
  }
  return right;
}

}  // namespace

TEST_CASE("what is said of a screen is so, and its answers are spread") {
  std::map<std::string, std::map<std::string, int>> told;  // by kind and answer
  std::size_t longest = 0;
  for (const Split split : {Split::train, Split::test}) {
    for (std::int64_t i = 0; i < 1500; ++i) {
      const TaskSample made = task_sample(rules_of(split), Task::screen, i);
      const auto& turns = made.sample.turns;
      REQUIRE(made.scenes.size() == 1);
      REQUIRE(made.scenes[0].kind == Kind::screen);
      CHECK(turns.at(0).parts.at(0) == text::picture_part(0));
      CHECK(said_in(turns.at(0)) == made.sample.question);
      CHECK(said_in(turns.at(1)) == made.sample.answer);
      longest = std::max(longest, turns.size());
      for (std::size_t t = 0; t < turns.size(); t += 2) {
        const std::string asked = said_in(turns[t]);
        INFO(asked);
        REQUIRE(read_screen(asked, made.scenes[0]) == said_in(turns[t + 1]));
      }
      ++told[made.sample.kind][made.sample.answer];
    }
  }
  CHECK(longest == 6);
  REQUIRE(told.size() == 3);
  CHECK(told["button"].size() > 300);
  CHECK(told["place"].size() == static_cast<std::size_t>(kPlaces));
  CHECK(told["color"].size() == static_cast<std::size_t>(kColours));
  for (const char* kind : {"place", "color"}) {
    int all = 0, most = 0;
    for (const auto& [answer, count] : told[kind]) {
      all += count;
      most = std::max(most, count);
    }
    const double chance = chance_of(rules_of(Split::test), Task::screen, kind);
    CHECK(static_cast<double>(most) / all < 1.5 * chance);
  }
}

TEST_CASE("a target is the only button that is meant, and the box is the one that is drawn") {
  std::map<std::string, int> kinds;
  constexpr int side = 96;
  for (std::int64_t i = 0; i < 1000; ++i) {
    const TaskSample made = task_sample(rules_of(Split::test), Task::target, i, {.side = side});
    const Sample& sample = made.sample;
    const std::string& said = sample.texts.at(0);
    const std::vector<Button>& buttons = made.scenes.at(0).buttons;
    INFO(said);
    std::vector<std::size_t> meant;
    for (std::size_t b = 0; b < buttons.size(); ++b) {
      const std::array<std::string, 3> names{
          "the button " + buttons[b].text,
          "the button at the " + named(kPlaceWords, buttons[b].place),
          "the " + named(kColourWords, buttons[b].colour) + " button"};
      if (std::find(names.begin(), names.end(), said) != names.end()) meant.push_back(b);
    }
    REQUIRE(meant.size() == 1);
    REQUIRE(sample.boxes.size() == 1);
    CHECK(sample.turns.empty());  // every family asks and writes boxes in its own way
    CHECK(sample.label == static_cast<std::int64_t>(meant[0]));
    CHECK(sample.proposals.size() == buttons.size());
    const Box box = button_box(buttons[meant[0]], side);
    CHECK(sample.boxes[0].x0 == box.x0);
    CHECK(sample.boxes[0].y1 == box.y1);
    ++kinds[sample.kind];
  }
  CHECK(kinds.size() == 3);
}

TEST_CASE("of several pictures one shows what is asked for, any of them as often") {
  std::map<std::size_t, std::map<std::string, int>> told;  // by the number of pictures
  std::size_t longest = 0;
  for (const Split split : {Split::train, Split::test}) {
    for (std::int64_t i = 0; i < 1500; ++i) {
      const TaskSample made = task_sample(rules_of(split, 3), Task::several, i);
      const Sample& sample = made.sample;
      const std::size_t count = made.scenes.size();
      REQUIRE((count == 2 || count == 3));
      CHECK(sample.kind == (count == 2 ? "two" : "three"));
      REQUIRE(sample.turns.at(0).parts.size() == count + 1);
      for (std::size_t p = 0; p < count; ++p) {
        CHECK(sample.turns[0].parts[p] == text::picture_part(static_cast<std::int64_t>(p)));
        CHECK((held_out_pairs(made.scenes[p]) > 0) == (split == Split::test));
      }
      longest = std::max(longest, sample.turns.size());
      for (std::size_t t = 0; t < sample.turns.size(); t += 2) {
        const std::string asked = said_in(sample.turns[t]);
        INFO(asked);
        REQUIRE(read_pictures(asked, made.scenes) ==
                std::vector<std::string>{said_in(sample.turns[t + 1])});
        if (split == Split::train) REQUIRE_FALSE(names_held_out(asked));
      }
      ++told[count][sample.answer];
    }
  }
  CHECK(longest == 6);
  for (const std::size_t count : {std::size_t{2}, std::size_t{3}}) {
    REQUIRE(told[count].size() == count);
    int all = 0;
    for (const auto& [answer, times] : told[count]) all += times;
    const double chance =
        chance_of(rules_of(Split::test), Task::several, count == 2 ? "two" : "three");
    for (const auto& [answer, times] : told[count]) {
      CHECK(static_cast<double>(times) / all == Approx(chance).margin(0.05));
    }
  }
}

TEST_CASE("screens and several pictures come as a source") {
  for (const std::string task : {"screen", "target", "several"}) {
    WorldSettings settings;
    settings.task = task;
    settings.size = 50;
    const auto source = open_world(settings);
    for (std::int64_t i = 0; i < 10; ++i) {
      const Sample sample = source->read(i);
      CHECK(sample.id.starts_with("world/" + task + "/train/"));
      CHECK(sample.turns == source->peek(i).turns);
      CHECK(sample.texts == source->peek(i).texts);
      const std::size_t count =
          task == "several" ? sample.turns.at(0).parts.size() - 1 : std::size_t{1};
      CHECK(sample.pictures.size() == count);
    }
  }
}

}  // namespace world_screens_test
