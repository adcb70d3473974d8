// VQA on the world. The answer is drawn before the scene that has it, see tasks.h.
#include <algorithm>
#include <set>

#include "tandem/base/error.h"
#include "tandem/data/world/caption.h"
#include "tandem/data/world/task_reading.h"
#include "task_parts.h"
#include "words.h"

namespace tandem::data::world {
namespace {

struct Asked {
  std::string kind{}, question{}, answer{};
  Wanted wanted{};
};

Claim with_shape(int shape) {
  Claim claim;
  claim.shape = shape;
  return claim;
}

Claim with_colour(int colour) {
  Claim claim;
  claim.colour = colour;
  return claim;
}

Claim claim_at(int place) {
  Claim claim;
  claim.place = place;
  return claim;
}

// How the kinds are worded.
std::string whether_there(const Claim& pair) { return "is there " + with_a(pair) + "?"; }
std::string is_it_so(const Claim& shape, const std::string& said) {
  return "is the " + noun(shape) + " " + said + "?";
}
std::string what_look(const std::string& kind, const Claim& known) {
  const std::string place = known.place ? " " + at_the(*known.place) : "";
  return "what " + kind + " is the " + noun(known) + place + "?";
}
std::string how_many(const Claim& counted) { return "how many " + plural(counted) + " are there?"; }
std::string where_is(const Claim& pair) { return "where is the " + noun(pair) + "?"; }

Asked ask_whether_there(const SceneRules& rules, Random& random) {
  const Claim pair = named_pair(rules, random);
  const bool yes = random.below(2) == 0;
  Asked asked{"yes/no", whether_there(pair), yes ? "yes" : "no", {}};
  if (yes) asked.wanted.shown = {pair};
  asked.wanted.absent = {pair};
  if (random.below(2) == 0) asked.wanted.alike = alike_pairs(pair);
  return asked;
}

Asked ask_whether_so(const SceneRules&, Random& random) {
  const Claim shape = with_shape(draw_below(random, kShapes));
  const bool by_size = random.below(2) == 0, yes = random.below(2) == 0;
  const int value = draw_below(random, 2);
  const std::string said = by_size ? word(kSizeWords, value) : word(kTextureWords, value);
  Claim shown = shape;
  (by_size ? shown.size : shown.texture) = yes ? value : 1 - value;
  return {"yes/no", is_it_so(shape, said), yes ? "yes" : "no", {{shown}, {shape}, {}}};
}

// The colour of the one ring, or of the object at the top; the same with shapes.
Asked ask_look(const SceneRules& rules, Random& random, bool for_colour) {
  Asked asked;
  asked.kind = for_colour ? "color" : "shape";
  const bool by_place = random.below(2) == 0;
  Claim known, shown;
  if (by_place) {
    known = claim_at(draw_below(random, kPlaces));
    shown = known;
    if (for_colour) shown.colour = draw_below(random, kColours);
    if (!for_colour) shown.shape = draw_below(random, kShapes);
  } else {
    known = for_colour ? with_shape(draw_below(random, kShapes))
                       : with_colour(draw_below(random, kColours));
    const Look look = look_with(rules, random, known);
    shown.shape = look.shape;
    shown.colour = look.colour;
    asked.wanted.absent = {known};
  }
  asked.wanted.shown = {shown};
  asked.question = what_look(asked.kind, known);
  asked.answer = for_colour ? word(kColourWords, *shown.colour) : word(kShapeWords, *shown.shape);
  return asked;
}

Asked ask_count(const SceneRules& rules, Random& random) {
  const Claim counted = random.below(2) == 0 ? with_shape(draw_below(random, kShapes))
                                             : with_colour(draw_below(random, kColours));
  const int count = draw_below(random, most_counted(rules) + 1);
  Asked asked{"count", how_many(counted), std::to_string(count), {}};
  asked.wanted.shown.assign(static_cast<std::size_t>(count), counted);
  asked.wanted.absent = {counted};
  return asked;
}

Asked ask_place(const SceneRules& rules, Random& random) {
  const Claim pair = named_pair(rules, random);
  Claim shown = pair;
  shown.place = draw_below(random, kPlaces);
  Asked asked{"place", where_is(pair), word(kPlaceWords, *shown.place), {}};
  asked.wanted.shown = {shown};
  asked.wanted.absent = {pair};
  if (random.below(2) == 0) asked.wanted.alike = alike_pairs(pair);
  return asked;
}

Asked ask_closed(const SceneRules& rules, Random& random) {
  switch (random.below(5)) {
    case 0:
      return random.below(2) == 0 ? ask_whether_there(rules, random)
                                  : ask_whether_so(rules, random);
    case 1:
      return ask_look(rules, random, true);
    case 2:
      return ask_look(rules, random, false);
    case 3:
      return ask_count(rules, random);
    default:
      return ask_place(rules, random);
  }
}

// A question of ask_closed's kinds about a scene that is there; it may have no answer, as when it
// asks for the one ring of two.
std::string ask_of(const SceneRules& rules, const Scene& scene, Random& random) {
  const Object& object = scene.objects[random.below(scene.objects.size())];
  const bool other = random.below(2) == 0, by_place = random.below(2) == 0;
  Claim pair;
  pair.shape = object.look.shape;
  pair.colour = object.look.colour;
  const Claim shape = with_shape(object.look.shape), colour = with_colour(object.look.colour);
  const Claim place = claim_at(object.place);
  switch (random.below(5)) {
    case 0:
      if (by_place) return whether_there(other ? named_pair(rules, random) : pair);
      return is_it_so(shape, other ? word(kSizeWords, draw_below(random, kSizes))
                                   : word(kTextureWords, draw_below(random, kTextures)));
    case 1:
      return what_look("color", by_place ? place : shape);
    case 2:
      return what_look("shape", by_place ? place : colour);
    case 3:
      if (other) return how_many(by_place ? shape : colour);
      return how_many(by_place ? with_shape(draw_below(random, kShapes))
                               : with_colour(draw_below(random, kColours)));
    default:
      return where_is(pair);
  }
}

TaskSample answered(const Asked& asked, Scene scene) {
  TaskSample made;
  made.scenes.push_back(std::move(scene));
  made.sample.kind = asked.kind;
  made.sample.question = asked.question;
  made.sample.answer = asked.answer;
  made.sample.answers = {{asked.answer, 1, -1}};
  return made;
}

std::string shapes_of(const Scene& scene) {
  std::vector<std::string> shown;
  for (const std::string_view shape : kShapeWords) {
    for (const Object& object : scene.objects) {
      if (kShapeWords[static_cast<std::size_t>(object.look.shape)] != shape) continue;
      shown.emplace_back(shape);
      break;
    }
  }
  std::string joined;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (i > 0) joined += i + 1 == shown.size() ? " and " : ", ";
    joined += shown[i];
  }
  return joined;
}

}  // namespace

int most_counted(const SceneRules& rules) { return std::min(3, rules.max_objects); }

const std::vector<std::string>& closed_answers() {
  static const std::vector<std::string> list = [] {
    std::vector<std::string> all{"no", "yes"};
    all.insert(all.end(), kColourWords.begin(), kColourWords.end());
    all.insert(all.end(), kShapeWords.begin(), kShapeWords.end());
    for (int count = 0; count <= 3; ++count) all.push_back(std::to_string(count));
    all.insert(all.end(), kPlaceWords.begin(), kPlaceWords.end());
    return all;
  }();
  return list;
}

TaskSample closed_question(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("question"));
  const Asked asked = ask_closed(rules, random);
  TaskSample made = answered(asked, scene_with(rules, index, key, asked.wanted));
  const std::vector<std::string>& all = closed_answers();
  const auto at = std::find(all.begin(), all.end(), asked.answer);
  TANDEM_CHECK(at != all.end(), "[world] an answer that is not in the list: " + asked.answer);
  made.sample.label = at - all.begin();
  made.sample.answers[0].label = made.sample.label;
  return made;
}

TaskSample closed_questions(const SceneRules& rules, Key key, std::int64_t index) {
  constexpr std::size_t kMore = 8;
  constexpr int kDraws = 24;  // two objects alike leave few questions
  TaskSample made = closed_question(rules, key, index);
  Random random(key.fold("more questions"));
  std::set<std::string> asked{made.sample.question};
  begin_dialogue(made, made.sample.question, made.sample.answer);
  for (int draw = 0; draw < kDraws && asked.size() <= kMore; ++draw) {
    const std::string more = ask_of(rules, made.scenes[0], random);
    const auto answer = answer_question(more, made.scenes[0]);
    if (answer && asked.insert(more).second) go_on(made, more, *answer);
  }
  made.sample.label = -1;
  made.sample.answers[0].label = -1;
  return made;
}

TaskSample read_questions(const SceneRules& rules, Key key, std::int64_t index) {
  TaskSample made = closed_questions(rules, key, index);
  const std::string told = full_caption(made.scenes[0], key);
  made.sample.turns[0].parts = {text::text_part(told + ". " + made.sample.question)};
  made.scenes.clear();
  return made;
}

TaskSample open_question(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("question"));
  Asked asked;
  if (random.below(3) == 0) {
    Scene scene = scene_with(rules, index, key, {});
    asked = {"shapes", "which shapes are in the picture?", shapes_of(scene), {}};
    return answered(asked, std::move(scene));
  }
  const int place = draw_below(random, kPlaces);
  asked = {"object", "what is " + at_the(place) + "?", "", {}};
  Scene scene = scene_with(rules, index, key, {{claim_at(place)}, {}, {}});
  asked.answer = describe(object_at(scene, place)->look);
  return answered(asked, std::move(scene));
}

}  // namespace tandem::data::world
