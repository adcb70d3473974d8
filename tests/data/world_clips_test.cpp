// The world's clips: what is asked of a move is so in the frames, at any rate, and nothing but the
// frames tells it (world_tasks_test.cpp measures that).
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tandem/base/error.h"
#include "tandem/data/world/caption.h"
#include "tandem/data/world/draw.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/source.h"
#include "tandem/data/world/task_reading.h"
#include "tandem/data/world/tasks.h"
#include "world_support.h"

namespace world_clips_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::data::world;
using namespace tandem::testing;

namespace {

TaskOptions at_rates(std::vector<std::int64_t> rates) {
  TaskOptions options;
  options.rates = std::move(rates);
  return options;
}

// What the boxes of an object say, frame by frame.
struct SeenMove {
  int start = -1, stop = -1;  // frames: the last one at the begin, the first one at the end
  double dx = 0, dy = 0;      // pixels from first to last frame
};

SeenMove seen_move(const Scene& scene, const Object& object, int side) {
  const auto middle = [&](int frame) {
    const Box box = object_box(scene, object, side, frame);
    CHECK(box.x1 - box.x0 > 5);  // in sight
    CHECK(box.y1 - box.y0 > 5);
    return std::pair((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2);
  };
  SeenMove seen;
  const auto first = middle(0), last = middle(scene.frames - 1);
  for (int frame = 1; frame < scene.frames; ++frame) {
    if (middle(frame) == middle(frame - 1)) continue;
    if (seen.start < 0) seen.start = frame - 1;
    seen.stop = frame;
  }
  seen.dx = last.first - first.first;
  seen.dy = last.second - first.second;
  return seen;
}

std::string way_of(const SeenMove& seen) {
  if (std::abs(seen.dy) > std::abs(seen.dx)) return seen.dy < 0 ? "up" : "down";
  return seen.dx < 0 ? "left" : "right";
}

// Whether the one object that a question names is this one.
bool asks_of(const std::string& question, const Object& object) {
  const std::string named =
      std::string(kColourWords[static_cast<std::size_t>(object.look.colour)]) + " " +
      std::string(kShapeWords[static_cast<std::size_t>(object.look.shape)]);
  return question.find(named) != std::string::npos;
}

WorldSettings settings_with(std::vector<std::int64_t> rates) {
  WorldSettings settings;
  settings.task = "clip";
  settings.size = 100;
  settings.max_objects = 3;
  settings.rates = std::move(rates);
  return settings;
}

}  // namespace

TEST_CASE("what is asked of a move is so in the frames, whatever their rate") {
  std::map<std::string, std::map<std::string, int>> answers;
  for (const std::int64_t rate : {1, 2, 3, 4}) {
    for (std::int64_t i = 0; i < 400; ++i) {
      const TaskSample made =
          task_sample(rules_of(Split::test, 4), Task::clip, i, at_rates({rate}));
      const Scene& scene = made.scenes.at(0);
      const Sample& sample = made.sample;
      INFO(sample.question << " " << sample.answer);
      ++answers[sample.kind][sample.answer];
      REQUIRE(scene.kind == Kind::clip);
      REQUIRE(scene.frames_per_second == rate);
      REQUIRE((scene.frames == 8 * rate || scene.frames == 10 * rate));
      REQUIRE(answer_question(sample.question, scene) == sample.answer);
      for (const Object& object : scene.objects) {
        const SeenMove seen = seen_move(scene, object, 96);
        if (object.motion.speed == 0) {
          CHECK(seen.start == -1);
          continue;
        }
        CHECK(seen.start == object.motion.start * rate);
        const std::int64_t stop = (object.motion.start + object.motion.seconds) * rate;
        CHECK(seen.stop ==
              std::min<std::int64_t>(stop, scene.frames - 1));  // some go on to the end
        const double cells = std::abs(seen.dx + seen.dy) / 32;
        const double seconds =
            static_cast<double>(seen.stop - seen.start) / static_cast<double>(rate);
        CHECK(cells / seconds == Approx(object.motion.speed / 4.0).epsilon(0.1));
        if (sample.kind == "object") CHECK(describe(object.look) == sample.answer);
        if (sample.kind == "way" && asks_of(sample.question, object)) {
          CHECK(way_of(seen) == sample.answer);
        }
        if (sample.kind == "stop" && asks_of(sample.question, object)) {
          CHECK(std::to_string(seen.stop / rate) == sample.answer);
          CHECK(seen.stop < scene.frames - 1);  // that it stands still is seen
        }
      }
    }
  }
  CHECK(answers.size() == 5);
  CHECK(answers["start"].size() == 5);
  CHECK(answers["stop"].size() == 5);
  CHECK(answers["way"].size() == 4);
  CHECK(answers["speed"].size() == 2);
  CHECK(answers["object"].size() > 50);
}

TEST_CASE("a clip is the same at every rate, in more or fewer frames") {
  for (std::int64_t i = 0; i < 20; ++i) {
    const TaskSample slow = task_sample(rules_of(Split::train, 3), Task::clip, i, at_rates({1}));
    const TaskSample fast = task_sample(rules_of(Split::train, 3), Task::clip, i, at_rates({4}));
    CHECK(slow.sample.question == fast.sample.question);
    CHECK(slow.sample.answer == fast.sample.answer);
    const Clip few = draw_clip(slow.scenes[0], 64), many = draw_clip(fast.scenes[0], 64);
    REQUIRE(many.frames.size() == 4 * few.frames.size());
    CHECK(few.fps == 1);
    CHECK(many.fps == 4);
    for (std::size_t frame = 0; frame < few.frames.size(); ++frame) {
      CHECK(few.frames[frame].pixels == many.frames[4 * frame].pixels);
      CHECK(few.seconds[frame] == many.seconds[4 * frame]);
    }
  }
}

TEST_CASE("clips of training show and name no held-out pair, those of tests show one") {
  for (const int objects : {2, 3, 6}) {
    for (std::int64_t i = 0; i < 1000; ++i) {
      const TaskSample train = task_sample(rules_of(Split::train, objects), Task::clip, i);
      REQUIRE(held_out_pairs(train.scenes.at(0)) == 0);
      REQUIRE_FALSE(names_held_out(train.sample.question + " " + train.sample.answer));
      const TaskSample test = task_sample(rules_of(Split::test, objects), Task::clip, i);
      REQUIRE(held_out_pairs(test.scenes.at(0)) >= 1);
      REQUIRE(test.scenes[0].objects.size() <= static_cast<std::size_t>(objects));
    }
  }
}

TEST_CASE("the world's clips come as a source, at the rates that are asked for") {
  const auto source = open_world(settings_with({2, 4}));
  std::set<double> rates;
  for (std::int64_t i = 0; i < 30; ++i) {
    const Sample sample = source->read(i), peeked = source->peek(i);
    CHECK(sample.pictures.empty());
    REQUIRE(sample.clips.size() == 1);
    const Clip& clip = sample.clips[0];
    rates.insert(clip.fps);
    REQUIRE(clip.frames.size() == clip.seconds.size());
    const double seconds = static_cast<double>(clip.frames.size()) / clip.fps;
    CHECK((seconds == 8 || seconds == 10));
    CHECK(clip.seconds.at(1) == Approx(1 / clip.fps));
    CHECK(clip.frames[0].pixels.width == 64);
    CHECK(peeked.clips.empty());
    CHECK(peeked.question == sample.question);
    CHECK(peeked.answer == sample.answer);
    CHECK(sample.id.starts_with("world/clip/train/0000"));
  }
  CHECK(rates == std::set<double>{2, 4});
  CHECK(source->answers().empty());
  CHECK(source->fingerprint().ends_with(":task=clip:rates=2,4"));
  for (const std::vector<std::int64_t>& bad :
       {std::vector<std::int64_t>{}, std::vector<std::int64_t>{0}, std::vector<std::int64_t>{31}}) {
    CHECK_THROWS_AS(open_world(settings_with(bad)), Error);
  }
  WorldSettings other = settings_with({3});
  other.task = "vqa";
  CHECK_THROWS_WITH(open_world(other), Catch::Contains("rates: expected it left out"));
}

}  // namespace world_clips_test
