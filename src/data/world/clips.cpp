// Questions about clips of objects that move, see tasks.h.
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/data/world/caption.h"
#include "task_parts.h"
#include "words.h"

namespace tandem::data::world {
namespace {

constexpr std::array<std::string_view, 5> kMoves{"start", "stop", "way", "speed", "object"};
constexpr int kMostSeconds = 4;  // of a move

struct Way {
  int dx = 0, dy = 0;
};
constexpr std::array<Way, 4> kWays{{{0, -1}, {0, 1}, {-1, 0}, {1, 0}}};  // as kWayWords

// Cells between a place and the edge that it would move to.
int room_of(int place, const Way& way) {
  const int column = place % 3, row = place / 3;
  return way.dx > 0 ? 2 - column : way.dx < 0 ? column : way.dy > 0 ? 2 - row : row;
}

// What of a motion is settled before the rest is drawn.
struct Settled {
  std::optional<int> start{}, stop{}, way{}, speed{};
};

// A motion from the place that stays in sight, of one second or more.
Motion draw_motion_from(int place, const Settled& settled, int seconds, Random& random) {
  int number = 0;
  do number = settled.way ? *settled.way : draw_below(random, static_cast<int>(kWays.size()));
  while (room_of(place, kWays[static_cast<std::size_t>(number)]) == 0);
  const Way way = kWays[static_cast<std::size_t>(number)];
  Motion motion{way.dx, way.dy, settled.speed.value_or(1 + draw_below(random, 2)), 0, 0};
  int most = std::min(kMostSeconds, 4 * room_of(place, way) / motion.speed);
  if (settled.stop) {
    most = std::min(most, *settled.stop);
    motion.seconds = 1 + draw_below(random, most);
    motion.start = *settled.stop - motion.seconds;
    return motion;
  }
  motion.start = settled.start.value_or(draw_below(random, seconds - 1));
  most = std::min(most, seconds - motion.start);
  motion.seconds = 1 + draw_below(random, most);
  return motion;
}

// A place from which an object may move that way.
int place_for(int way, Random& random) {
  int place = 0;
  do place = draw_below(random, kPlaces);
  while (room_of(place, kWays[static_cast<std::size_t>(way)]) == 0);
  return place;
}

struct AskedOfMove {
  std::string question{}, answer{};
  Settled settled{};
};

AskedOfMove ask_move(std::string_view kind, const Claim& pair, Random& random) {
  const std::string object = "the " + noun(pair);
  if (kind == "start") {
    const int second = kFirstStart + draw_below(random, kClipAnswers);
    return {"at which second does " + object + " start to move?",
            std::to_string(second),
            {.start = second}};
  }
  if (kind == "stop") {
    const int second = kFirstStart + 1 + draw_below(random, kClipAnswers);
    return {"at which second does " + object + " stop?", std::to_string(second), {.stop = second}};
  }
  if (kind == "way") {
    const int way = draw_below(random, static_cast<int>(kWays.size()));
    return {"where does " + object + " move?", word(kWayWords, way), {.way = way}};
  }
  if (kind == "speed") {
    const int speed = 1 + draw_below(random, 2);
    return {"how fast does " + object + " move?", word(kSpeedWords, speed - 1), {.speed = speed}};
  }
  return {"what moves?", "", {}};
}

int frames_a_second(const std::vector<std::int64_t>& rates, Key key) {
  TANDEM_CHECK(!rates.empty(), "[world] clips need a rate");
  return static_cast<int>(rates[Random(key.fold("rate")).below(rates.size())]);
}

}  // namespace

TaskSample moving(const SceneRules& rules, Key key, std::int64_t index,
                  const std::vector<std::int64_t>& rates) {
  Random random(key.fold("moving"));
  const std::string_view kind = kMoves[random.below(kMoves.size())];
  const Claim pair = named_pair(rules, random);
  AskedOfMove asked = ask_move(kind, pair, random);
  Claim shown = pair;
  if (asked.settled.way) shown.place = place_for(*asked.settled.way, random);
  Wanted wanted{{shown}, {pair}, {}};
  if (random.below(2) == 0) wanted.alike = alike_pairs(pair);

  TaskSample made;
  Scene scene = scene_with(rules, index, key, wanted);
  scene.kind = Kind::clip;
  scene.frames_per_second = frames_a_second(rates, key);
  const int seconds = 8 + 2 * draw_below(random, 2);  // even: frames come in pairs
  scene.frames = seconds * scene.frames_per_second;
  for (Object& object : scene.objects) {
    const bool meant = satisfies(object, pair);
    if (!meant && (kind == "object" || random.below(2) == 0)) continue;  // stands still
    object.motion =
        draw_motion_from(object.place, meant ? asked.settled : Settled{}, seconds, random);
    if (meant && kind == "object") asked.answer = describe(object.look);
  }
  made.scenes.push_back(std::move(scene));
  made.sample.kind = kind;
  made.sample.question = asked.question;
  made.sample.answer = asked.answer;
  made.sample.answers = {{asked.answer, 1, -1}};
  return made;
}

}  // namespace tandem::data::world
