#include "tandem/data/world/task_reading.h"

#include <algorithm>
#include <set>
#include <vector>

#include "tandem/data/world/caption.h"
#include "tandem/data/world/reading.h"
#include "words.h"

namespace tandem::data::world {
namespace {

std::vector<std::string> spoken_words(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ' ') {
      words.emplace_back();
    } else if (c != '?' && c != ',') {
      words.back() += c;
    }
  }
  std::erase(words, "");
  return words;
}

std::string singular(const std::string& noun) {
  if (noun == "crosses") return "cross";
  return noun.ends_with("s") && noun != "cross" ? noun.substr(0, noun.size() - 1) : noun;
}

bool take(const std::string& text, Claim& claim) {
  if (const auto shape = number_of(kShapeWords, singular(text))) return claim.shape = shape, true;
  if (const auto colour = number_of(kColourWords, text)) return claim.colour = colour, true;
  if (const auto size = number_of(kSizeWords, text)) return claim.size = size, true;
  if (const auto texture = number_of(kTextureWords, text)) return claim.texture = texture, true;
  if (const auto place = number_of(kPlaceWords, text)) return claim.place = place, true;
  static const std::set<std::string> fillers{"a", "an", "the", "at", "object", "objects"};
  return fillers.contains(text);
}

// All that the words say of one object.
std::optional<Claim> claim_of(std::string_view text) {
  const std::vector<std::string> words = spoken_words(text);
  Claim claim;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string two = i + 1 < words.size() ? words[i] + " " + words[i + 1] : "";
    if (const auto place = number_of(kPlaceWords, two)) {
      claim.place = place;
      ++i;
    } else if (!take(words[i], claim)) {
      return {};
    }
  }
  return claim;
}

std::vector<const Object*> found(const Scene& scene, const Claim& claim) {
  std::vector<const Object*> objects;
  for (const Object& object : scene.objects) {
    if (satisfies(object, claim)) objects.push_back(&object);
  }
  return objects;
}

std::optional<std::size_t> count_of(std::string_view text, const Scene& scene) {
  const auto claim = claim_of(text);
  if (!claim) return {};
  return found(scene, *claim).size();
}

const Object* the_one(std::string_view text, const Scene& scene) {
  const auto claim = claim_of(text);
  if (!claim) return nullptr;
  const auto objects = found(scene, *claim);
  return objects.size() == 1 ? objects[0] : nullptr;
}

// Takes `start` off the text.
bool cut(std::string_view& text, std::string_view start) {
  if (!text.starts_with(start)) return false;
  text.remove_prefix(start.size());
  return true;
}

// What stands before and behind `between`.
struct Halves {
  std::string_view before{}, behind{};
};
std::optional<Halves> halves(std::string_view text, std::string_view between) {
  const std::size_t at = text.find(between);
  if (at == std::string_view::npos) return {};
  return Halves{text.substr(0, at), text.substr(at + between.size())};
}

std::string shapes_shown(const Scene& scene) {
  std::set<int> shapes;
  for (const Object& object : scene.objects) shapes.insert(object.look.shape);
  std::string joined;
  for (const int shape : shapes) {
    const bool last = shape == *shapes.rbegin();
    joined += (joined.empty() ? "" : last ? " and " : ", ") + word(kShapeWords, shape);
  }
  return joined;
}

std::optional<std::string> yes_or_no(bool yes) { return yes ? "yes" : "no"; }

// "the ring is red": whether the one ring is so.
std::optional<std::string> whether_so(std::string_view text, const Scene& scene) {
  const std::size_t space = text.find_last_of(' ');
  if (space == std::string_view::npos) return {};
  const Object* object = the_one(text.substr(0, space), scene);
  const auto claim = claim_of(text.substr(space));
  if (object == nullptr || !claim) return {};
  return yes_or_no(satisfies(*object, *claim));
}

// "start to move", "stop", "move" of "does the red ring ...": what the clip shows of it.
std::optional<std::string> of_move(std::string_view start, std::string_view text,
                                   const Scene& scene) {
  for (const std::string_view verb : {" start to move?", " stop?", " move?"}) {
    if (!text.ends_with(verb)) continue;
    const Object* object = the_one(text.substr(0, text.size() - verb.size()), scene);
    if (object == nullptr || object->motion.speed == 0) return {};
    const Motion& motion = object->motion;
    if (start == "where does ") {
      const int way = motion.dy < 0 ? 0 : motion.dy > 0 ? 1 : motion.dx < 0 ? 2 : 3;
      return word(kWayWords, way);
    }
    if (start == "how fast does ") return word(kSpeedWords, motion.speed - 1);
    return std::to_string(motion.start + (verb == " stop?" ? motion.seconds : 0));
  }
  return {};
}

std::optional<std::string> the_moving_one(const Scene& scene) {
  const auto moves = [](const Object& object) { return object.motion.speed > 0; };
  const auto one = std::find_if(scene.objects.begin(), scene.objects.end(), moves);
  if (std::count_if(scene.objects.begin(), scene.objects.end(), moves) != 1) return {};
  return describe(one->look);
}

}  // namespace

std::optional<std::string> answer_question(std::string_view text, const Scene& scene) {
  if (text == "what moves?") return the_moving_one(scene);
  for (const std::string_view start : {"at which second does ", "where does ", "how fast does "}) {
    if (cut(text, start)) return of_move(start, text, scene);
  }
  if (cut(text, "is there ")) {
    const auto count = count_of(text, scene);
    return count ? yes_or_no(*count > 0) : std::nullopt;
  }
  if (cut(text, "is the ")) return whether_so(text, scene);
  if (cut(text, "how many ")) {
    const auto parts = halves(text, " are there");
    const auto count = parts ? count_of(parts->before, scene) : std::nullopt;
    return count ? std::optional(std::to_string(*count)) : std::nullopt;
  }
  if (text == "which shapes are in the picture?") return shapes_shown(scene);
  for (const std::string_view start :
       {"what color is ", "what shape is ", "where is ", "what is at "}) {
    if (!cut(text, start)) continue;
    const Object* object = the_one(text, scene);
    if (object == nullptr) return {};
    if (start == "what color is ") return word(kColourWords, object->look.colour);
    if (start == "what shape is ") return word(kShapeWords, object->look.shape);
    if (start == "where is ") return word(kPlaceWords, object->place);
    return describe(object->look);
  }
  return {};
}

std::optional<bool> judge_sentence(std::string_view text, const Scene& left, const Scene& right) {
  const bool both = cut(text, "both pictures show ");
  if (both || cut(text, "exactly one picture shows ")) {
    const auto a = count_of(text, left), b = count_of(text, right);
    if (!a || !b) return {};
    return both ? *a > 0 && *b > 0 : (*a > 0) != (*b > 0);
  }
  for (const bool left_more : {true, false}) {
    std::string_view rest = text;
    if (!cut(rest, left_more ? "the left picture shows more " : "the right picture shows more ")) {
      continue;
    }
    const auto parts = halves(rest, " than the ");
    if (!parts) return {};
    const auto a = count_of(parts->before, left), b = count_of(parts->before, right);
    if (!a || !b) return {};
    return left_more ? *a > *b : *b > *a;
  }
  if (!cut(text, "the left picture shows ")) return {};
  const auto parts = halves(text, " and the right picture shows ");
  if (!parts) return {};
  const auto a = count_of(parts->before, left), b = count_of(parts->behind, right);
  if (!a || !b) return {};
  return *a > 0 && *b > 0;
}

std::optional<int> judge_hypothesis(std::string_view text, const Scene& scene) {
  const auto parts = halves(text, " is ");
  if (!parts) return {};
  const auto subject = claim_of(parts->before), said = claim_of(parts->behind);
  if (!subject || !said) return {};
  const auto objects = found(scene, *subject);
  if (objects.empty()) return 1;
  if (objects.size() > 1) return {};
  return satisfies(*objects[0], *said) ? 2 : 0;
}

std::optional<int> find_object(std::string_view text, const Scene& scene) {
  const Object* object = the_one(text, scene);
  if (object == nullptr) return {};
  return static_cast<int>(object - scene.objects.data());
}

}  // namespace tandem::data::world
