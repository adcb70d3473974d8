// Sentences about two pictures (NLVR2), hypotheses about one (VE), and expressions that mean one
// object (grounding). What is right is drawn before the scenes in which it is so, see tasks.h.
#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/data/world/draw.h"
#include "task_parts.h"
#include "words.h"

namespace tandem::data::world {
namespace {

struct Said {
  std::string kind{}, text{};
  Wanted left{}, right{};
};

// The pair is shown, or it is not; half of the time with objects that share a half of it.
Wanted showing(const Claim& pair, bool shown, Random& random) {
  Wanted wanted;
  if (shown) wanted.shown = {pair};
  wanted.absent = {pair};
  if (random.below(2) == 0) wanted.alike = alike_pairs(pair);
  return wanted;
}

Said say_how_many_show(const SceneRules& rules, Random& random, bool truth) {
  const Claim pair = named_pair(rules, random);
  const bool both = random.below(2) == 0;
  Said said;
  said.kind = both ? "both" : "one";
  said.text = (both ? "both pictures show " : "exactly one picture shows ") + with_a(pair);
  bool left = true, right = true;
  if (both && !truth) {
    const std::uint64_t which = random.below(3);
    left = which == 0;
    right = which == 1;
  } else if (!both && truth) {
    left = random.below(2) == 0;
    right = !left;
  } else if (!both) {
    left = right = random.below(2) == 0;
  }
  said.left = showing(pair, left, random);
  said.right = showing(pair, right, random);
  return said;
}

Said say_sides(const SceneRules& rules, Random& random, bool truth) {
  const Claim first = named_pair(rules, random);
  Claim second = first;
  while (second.shape == first.shape && second.colour == first.colour) {
    second = named_pair(rules, random);
  }
  Said said;
  said.kind = "sides";
  said.text =
      "the left picture shows " + with_a(first) + " and the right picture shows " + with_a(second);
  // False: the two exchanged, or one of them is missing.
  const std::uint64_t fault = truth ? 3 : random.below(3);
  if (fault == 0) {
    said.left = {{second}, {first}, {}};
    said.right = {{first}, {second}, {}};
  } else {
    said.left = showing(first, fault != 1, random);
    said.right = showing(second, fault != 2, random);
  }
  return said;
}

Said say_more(const SceneRules& rules, Random& random, bool truth) {
  Claim counted;
  counted.shape = draw_below(random, kShapes);
  const bool left_more = random.below(2) == 0;
  const std::string one = left_more ? "left" : "right", other = left_more ? "right" : "left";
  Said said;
  said.kind = "more";
  said.text =
      "the " + one + " picture shows more " + plural(counted) + " than the " + other + " picture";
  const int most = most_counted(rules);
  int a = 0, b = 0;  // of the one and of the other
  do {
    a = draw_below(random, most + 1);
    b = draw_below(random, most + 1);
  } while ((a > b) != truth);
  if (!left_more) std::swap(a, b);
  said.left.shown.assign(static_cast<std::size_t>(a), counted);
  said.right.shown.assign(static_cast<std::size_t>(b), counted);
  said.left.absent = said.right.absent = {counted};
  return said;
}

struct Supposed {
  std::string kind{}, text{};
  Claim subject{};       // the object that it speaks of
  Claim entailed{};      // as it is when it is so
  Claim contradicted{};  // and when it is not
  std::vector<Claim> alike{};
};

// Another number below n than `is`, for which `allowed`.
template <class Allowed>
int another(Random& random, int n, int is, const Allowed& allowed) {
  for (;;) {
    const int other = draw_below(random, n);
    if (other != is && allowed(other)) return other;
  }
}

// "the ring is red", "the red object is a ring"
Supposed suppose_pair(const SceneRules& rules, Random& random) {
  const Claim pair = named_pair(rules, random);
  const bool test = rules.split == Split::test;
  const bool of_colour = random.below(2) == 0;
  Supposed said;
  said.entailed = said.contradicted = pair;
  const std::vector<Claim> halves = alike_pairs(pair);
  if (of_colour) {
    said.kind = "color";
    said.subject = halves[0];
    said.text = "the " + noun(said.subject) + " is " + word(kColourWords, *pair.colour);
    said.contradicted.colour = another(random, kColours, *pair.colour, [&](int colour) {
      return test || !held_out(*pair.shape, colour);
    });
    said.alike = {halves[1]};
  } else {
    said.kind = "shape";
    said.subject = halves[1];
    said.text = "the " + noun(said.subject) + " is a " + word(kShapeWords, *pair.shape);
    said.contradicted.shape = another(random, kShapes, *pair.shape, [&](int shape) {
      return test || !held_out(shape, *pair.colour);
    });
    said.alike = {halves[0]};
  }
  return said;
}

// "the red ring is at the top left", "the red ring is striped"
Supposed suppose_more(const SceneRules& rules, Random& random) {
  Supposed said;
  said.subject = named_pair(rules, random);
  said.entailed = said.contradicted = said.subject;
  said.alike = alike_pairs(said.subject);
  const std::string start = "the " + noun(said.subject) + " is ";
  if (random.below(2) == 0) {
    said.kind = "place";
    const int place = draw_below(random, kPlaces);
    said.text = start + at_the(place);
    said.entailed.place = place;
    said.contradicted.place = another(random, kPlaces, place, [](int) { return true; });
    return said;
  }
  said.kind = "look";
  const bool by_size = random.below(2) == 0;
  const int value = draw_below(random, 2);
  said.text = start + (by_size ? word(kSizeWords, value) : word(kTextureWords, value));
  (by_size ? said.entailed.size : said.entailed.texture) = value;
  (by_size ? said.contradicted.size : said.contradicted.texture) = 1 - value;
  return said;
}

}  // namespace

TaskSample sentence_of_two(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("sentence"));
  const bool truth = random.below(2) == 0;
  const std::uint64_t kind = random.below(4);
  const Said said = kind < 2    ? say_how_many_show(rules, random, truth)
                    : kind == 2 ? say_sides(rules, random, truth)
                                : say_more(rules, random, truth);
  TaskSample made;
  made.scenes.push_back(scene_with(rules, 2 * index, key.fold("left"), said.left));
  made.scenes.push_back(scene_with(rules, 2 * index + 1, key.fold("right"), said.right));
  made.sample.kind = said.kind;
  made.sample.texts = {said.text};
  made.sample.label = truth ? 1 : 0;
  return made;
}

TaskSample hypothesis(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("hypothesis"));
  const int label = draw_below(random, 3);
  const Supposed said =
      random.below(2) == 0 ? suppose_pair(rules, random) : suppose_more(rules, random);
  Wanted wanted;
  if (label == 0) wanted.shown = {said.contradicted};
  if (label == 2) wanted.shown = {said.entailed};
  wanted.absent = {said.subject};
  if (random.below(2) == 0) wanted.alike = said.alike;
  TaskSample made;
  made.scenes.push_back(scene_with(rules, index, key, wanted));
  made.sample.kind = said.kind;
  made.sample.texts = {said.text};
  made.sample.label = label;
  return made;
}

TaskSample expression(const SceneRules& rules, Key key, std::int64_t index, int side) {
  Random random(key.fold("expression"));
  const Claim pair = named_pair(rules, random);
  Claim meant;  // one or two of its attributes beside the shape or the colour
  const std::uint64_t first = random.below(3);
  if (first != 1) meant.shape = pair.shape;
  if (first != 2) meant.colour = pair.colour;
  if (first != 0 || random.below(2) == 0) {
    (random.below(2) == 0 ? meant.size : meant.texture) = draw_below(random, 2);
  }
  Wanted wanted{{meant}, {meant}, {}};
  Claim half;
  half.shape = meant.shape;
  if (meant.shape) wanted.alike.push_back(half);
  half = {};
  half.colour = meant.colour;
  if (meant.colour) wanted.alike.push_back(half);
  TaskSample made;
  made.scenes.push_back(scene_with(rules, index, key, wanted));
  const Scene& scene = made.scenes[0];
  made.sample.kind = "look";
  made.sample.texts = {"the " + noun(meant)};
  for (const Object& object : scene.objects) {
    const Box box = object_box(scene, object, side);
    if (satisfies(object, meant)) {
      made.sample.label = static_cast<std::int64_t>(made.sample.proposals.size());
      made.sample.boxes.push_back(box);
    }
    made.sample.proposals.push_back(box);
  }
  TANDEM_CHECK(made.sample.boxes.size() == 1, "[world] an expression that means no one object");
  return made;
}

TaskSample task_sample(const SceneRules& rules, Task task, std::int64_t index,
                       const TaskOptions& options) {
  constexpr std::array<std::string_view, 13> names{
      "vqa",  "nlvr2",     "ve",      "grounding", "dialogue", "preference", "ocr",
      "clip", "questions", "reading", "screen",    "target",   "several"};
  const Key key = Key(rules.seed)
                      .fold("world task")
                      .fold(kVersion)
                      .fold(names[static_cast<std::size_t>(task)])
                      .fold(options.open ? "open" : "")
                      .fold(rules.split == Split::train ? "train" : "test")
                      .fold(static_cast<std::uint64_t>(index));
  switch (task) {
    case Task::vqa:
      return options.open ? open_question(rules, key, index) : closed_question(rules, key, index);
    case Task::nlvr2:
      return sentence_of_two(rules, key, index);
    case Task::ve:
      return hypothesis(rules, key, index);
    case Task::dialogue:
      return dialogue(rules, key, index);
    case Task::preference:
      return preference(rules, key, index);
    case Task::ocr:
      return page_of_words(rules, key, index);
    case Task::questions:
      return closed_questions(rules, key, index);
    case Task::reading:
      return read_questions(rules, key, index);
    case Task::screen:
      return screen_dialogue(rules, key, index);
    case Task::target:
      return screen_target(rules, key, index, options.side);
    case Task::several:
      return several_pictures(rules, key, index);
    case Task::clip:
      return moving(rules, key, index, options.rates);
    default:
      return expression(rules, key, index, options.side);
  }
}

double chance_of(const SceneRules& rules, Task task, std::string_view kind) {
  if (task == Task::nlvr2) return 1.0 / 2;
  if (task == Task::ve) return 1.0 / 3;
  if (task == Task::preference) return 1.0 / 2;
  if (task == Task::dialogue || task == Task::questions || task == Task::reading ||
      task == Task::ocr || task == Task::target) {
    return 0;
  }
  if (task == Task::several) return kind == "two" ? 1.0 / 2 : 1.0 / 3;
  if (kind == "start" || kind == "stop") return 1.0 / kClipAnswers;
  if (kind == "way") return 1.0 / static_cast<double>(kWayWords.size());
  if (kind == "speed") return 1.0 / static_cast<double>(kSpeedWords.size());
  if (kind == "yes/no") return 1.0 / 2;
  if (kind == "color") return 1.0 / kColours;
  if (kind == "shape" && task == Task::vqa) return 1.0 / kShapes;
  if (kind == "count") return 1.0 / (most_counted(rules) + 1);
  if (kind == "place") return 1.0 / kPlaces;
  return 0;
}

}  // namespace tandem::data::world
