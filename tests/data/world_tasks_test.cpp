// The world's tasks are a fair measure: who reads the text and sees the scene is always right, who
// reads the text alone is right by chance, and training shows and names no held-out pair.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tandem/base/error.h"
#include "tandem/data/world/baselines.h"
#include "tandem/data/world/draw.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/source.h"
#include "tandem/data/world/task_reading.h"
#include "tandem/data/world/tasks.h"
#include "world_support.h"

namespace world_tasks_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::data::world;
using namespace tandem::testing;

namespace {

constexpr std::array<Task, 4> kTasks{Task::vqa, Task::nlvr2, Task::ve, Task::grounding};

WorldSettings settings_of(const std::string& task, const std::string& split = "train") {
  WorldSettings settings;
  settings.task = task;
  settings.split = split;
  settings.size = 1000;
  return settings;
}

bool is_config_error(const WorldSettings& settings) {
  try {
    open_world(settings);
  } catch (const Error& error) {
    return error.kind() == ErrorKind::config;
  }
  return false;
}

}  // namespace

TEST_CASE("an oracle is right on every task, and text alone is right by chance") {
  for (const auto& [objects, seed] : {std::pair{2, 0}, {3, 1}, {6, 2}}) {
    const auto baselines = task_baselines(rules_of(Split::test, objects, seed));
    std::set<std::string> tasks;
    for (const TaskBaseline& one : baselines) {
      INFO(one.task << ", " << one.kind << ": " << one.samples << " samples, up to " << objects
                    << " objects, oracle " << one.oracle << ", text only " << one.text_only
                    << ", chance " << one.chance);
      tasks.insert(one.task);
      CHECK(one.samples > 1000);
      CHECK(one.oracle >= 0.99);
      if (one.chance > 0) {
        CHECK(one.text_only <= one.chance + 0.03);
        if (one.task != "grounding") CHECK(one.text_only >= one.chance - 0.03);
      } else {
        CHECK(one.text_only <= 0.15);  // open answers: which shapes two objects have
      }
    }
    CHECK(tasks == std::set<std::string>{"vqa", "vqa open", "nlvr2", "ve", "grounding", "clip"});
  }
}

TEST_CASE("the answers to one question of the tests are spread evenly") {
  std::map<std::string, std::map<std::string, int>> answers;
  for (std::int64_t i = 0; i < 60'000; ++i) {
    const Sample sample = task_sample(rules_of(Split::test), Task::vqa, i).sample;
    ++answers[sample.question][sample.answer];
  }
  const auto& by_shape = answers["what color is the ring?"];
  const auto& by_place = answers["what shape is the object at the top left?"];
  REQUIRE(by_shape.size() == kColours);
  REQUIRE(by_place.size() == kShapes);
  for (const auto* counts : {&by_shape, &by_place}) {
    double all = 0;
    for (const auto& [answer, count] : *counts) all += count;
    for (const auto& [answer, count] : *counts) {
      INFO(answer);
      CHECK(count == Approx(all / static_cast<double>(counts->size())).epsilon(0.3));
    }
  }
}

TEST_CASE("tasks of training show and name no held-out pair, pictures of tests show one each") {
  for (const Task task : kTasks) {
    for (const int objects : {2, 3, 6}) {
      for (std::int64_t i = 0; i < 1500; ++i) {
        for (const bool open : {false, true}) {
          if (open && task != Task::vqa) continue;
          const TaskSample train = task_sample(rules_of(Split::train, objects), task, i, {open});
          for (const Scene& scene : train.scenes) REQUIRE(held_out_pairs(scene) == 0);
          for (const std::string& text : train.sample.texts) REQUIRE_FALSE(names_held_out(text));
          REQUIRE_FALSE(names_held_out(train.sample.question + " " + train.sample.answer));
          const TaskSample test = task_sample(rules_of(Split::test, objects), task, i, {open});
          for (const Scene& scene : test.scenes) {
            REQUIRE(held_out_pairs(scene) >= 1);
            REQUIRE(scene.objects.size() >= 2);
            REQUIRE(scene.objects.size() <= static_cast<std::size_t>(objects));
            std::set<int> places;
            for (const Object& object : scene.objects) places.insert(object.place);
            REQUIRE(places.size() == scene.objects.size());
          }
        }
      }
    }
  }
}

TEST_CASE("hypotheses of training that tell a colour or a shape name no held-out pair") {
  for (std::int64_t i = 0; i < 3000; ++i) {
    const std::string text = task_sample(rules_of(Split::train), Task::ve, i).sample.texts[0];
    int shape = -1, colour = -1;
    for (int s = 0; s < kShapes; ++s) {
      if (text.find(kShapeWords[s]) != std::string::npos) shape = s;
    }
    for (int c = 0; c < kColours; ++c) {
      if (text.find(" " + std::string(kColourWords[c])) != std::string::npos) colour = c;
    }
    INFO(text);
    CHECK((shape < 0 || colour < 0 || !held_out(shape, colour)));
  }
}

TEST_CASE("closed questions have 29 answers, and a sample's label is its place among them") {
  const auto source = open_world(settings_of("vqa"));
  const std::vector<std::string> all = source->answers();
  REQUIRE(all.size() == 29);
  CHECK(std::set<std::string>(all.begin(), all.end()).size() == 29);
  std::set<std::string> kinds, seen;
  for (std::int64_t i = 0; i < 1000; ++i) {
    const Sample sample = source->peek(i);
    kinds.insert(sample.kind);
    seen.insert(sample.answer);
    REQUIRE(sample.answers.size() == 1);
    CHECK(sample.answers[0] == Answer{sample.answer, 1, sample.label});
    CHECK(all.at(static_cast<std::size_t>(sample.label)) == sample.answer);
    CHECK(sample.question.ends_with("?"));
    CHECK(sample.texts.empty());
  }
  CHECK(kinds == std::set<std::string>{"yes/no", "color", "shape", "count", "place"});
  CHECK(seen.size() == 29);
}

TEST_CASE("open questions have free answers") {
  WorldSettings settings = settings_of("vqa");
  settings.answers = "open";
  const auto source = open_world(settings);
  CHECK(source->answers().empty());
  std::set<std::string> answers;
  for (std::int64_t i = 0; i < 500; ++i) {
    const Sample sample = source->peek(i);
    CHECK(sample.label == -1);
    CHECK(sample.answers.at(0) == Answer{sample.answer, 1, -1});
    answers.insert(sample.answer);
  }
  CHECK(answers.size() > 100);
}

TEST_CASE("a sample of a task is drawn from its scenes, and peeking says the same") {
  for (const std::string task : {"vqa", "nlvr2", "ve", "grounding"}) {
    const auto source = open_world(settings_of(task, "test"));
    const Task number = task == "vqa"     ? Task::vqa
                        : task == "nlvr2" ? Task::nlvr2
                        : task == "ve"    ? Task::ve
                                          : Task::grounding;
    for (std::int64_t i = 0; i < 30; ++i) {
      const Sample sample = source->read(i), peeked = source->peek(i);
      const TaskSample made = task_sample(rules_of(Split::test), number, i);
      REQUIRE(sample.pictures.size() == (task == "nlvr2" ? 2 : 1));
      REQUIRE(made.scenes.size() == sample.pictures.size());
      for (std::size_t p = 0; p < sample.pictures.size(); ++p) {
        CHECK(sample.pictures[p].pixels == draw(made.scenes[p], 64));
      }
      CHECK(peeked.pictures.empty());
      CHECK(peeked.texts == sample.texts);
      CHECK(peeked.question == sample.question);
      CHECK(peeked.label == sample.label);
      CHECK(sample.id.starts_with("world/" + task + "/test/0000"));
      CHECK(sample.picture_id == i);
    }
  }
}

TEST_CASE("an expression means one object, whose box is the labelled one of the proposals") {
  WorldSettings settings = settings_of("grounding", "test");
  settings.side = 96;
  const auto source = open_world(settings);
  std::size_t alike = 0;
  for (std::int64_t i = 0; i < 300; ++i) {
    const Sample sample = source->peek(i);
    const TaskSample made = task_sample(rules_of(Split::test), Task::grounding, i, {false, 96});
    const auto found = find_object(sample.texts.at(0), made.scenes[0]);
    REQUIRE(found.has_value());
    CHECK(sample.label == *found);
    REQUIRE(sample.boxes.size() == 1);
    REQUIRE(sample.proposals.size() == made.scenes[0].objects.size());
    const Box box = object_box(made.scenes[0], made.scenes[0].objects[*found], 96);
    CHECK(sample.boxes[0].x0 == box.x0);
    CHECK(sample.boxes[0].y1 == box.y1);
    CHECK(sample.proposals[static_cast<std::size_t>(sample.label)].x1 == box.x1);
    const Look meant = made.scenes[0].objects[*found].look;
    for (const Object& other : made.scenes[0].objects) {
      alike += &other != &made.scenes[0].objects[*found] &&
               (other.look.shape == meant.shape || other.look.colour == meant.colour);
    }
  }
  CHECK(alike > 200);  // others share a half with it
}

TEST_CASE("text alone is the captions without their pictures") {
  const auto text = open_world(settings_of("text")), captions = open_world(settings_of("caption"));
  for (std::int64_t i = 0; i < 50; ++i) {
    const Sample sample = text->read(i);
    CHECK(sample.pictures.empty());
    CHECK(sample.texts == captions->read(i).texts);
  }
  CHECK(text->fingerprint() != captions->fingerprint());
}

TEST_CASE("what was done to a wrong caption stands in its sample") {
  WorldSettings settings = settings_of("caption");
  settings.wrong = 0.4;
  settings.size = 2000;
  const auto source = open_world(settings);
  std::map<std::string, int> kinds;
  for (std::int64_t i = 0; i < 2000; ++i) {
    const Sample sample = source->peek(i);
    const Scene scene = make_scene(rules_of(Split::train), i);
    ++kinds[sample.kind];
    CHECK((sample.kind == "true") == (sample.label == 1));
    for (const std::string& text : sample.texts) {
      const auto said = read_caption(text);
      REQUIRE(said.has_value());
      CHECK(agrees(*said, scene) == (sample.kind == "true"));
      if (sample.kind != "one change") continue;
      CHECK(said->background == scene.background);
      CHECK(said->claims.size() == scene.objects.size());
    }
  }
  CHECK(kinds.size() == 3);
  CHECK(kinds["true"] == Approx(1200).margin(80));
  CHECK(kinds["another scene"] == Approx(400).margin(60));
  CHECK(kinds["one change"] == Approx(400).margin(60));
}

TEST_CASE("settings that a task does not know are refused") {
  const auto refused = [](const std::string& task, auto change) {
    WorldSettings settings = settings_of(task);
    change(settings);
    return is_config_error(settings);
  };
  CHECK(refused("vqa", [](WorldSettings& s) { s.max_objects = 1; }));
  CHECK(refused("ve", [](WorldSettings& s) { s.wrong = 0.1; }));
  CHECK(refused("nlvr2", [](WorldSettings& s) { s.variants = 2; }));
  CHECK(refused("grounding", [](WorldSettings& s) { s.split = "hard"; }));
  CHECK(refused("vqa", [](WorldSettings& s) { s.captions = "short"; }));
  CHECK(refused("caption", [](WorldSettings& s) { s.answers = "open"; }));
  CHECK(refused("text", [](WorldSettings& s) { s.wrong = 0.1; }));
  CHECK_FALSE(refused("vqa", [](WorldSettings& s) { s.answers = "open"; }));
}

TEST_CASE("a tokenizer learns from questions and answers too") {
  const auto source = open_world(settings_of("vqa"));
  std::set<std::string> said;
  for (const std::string& text : captions_of(*source, 400)) said.insert(text);
  CHECK(said.contains("yes"));
  CHECK(said.contains("what color is the ring?"));
  for (const std::string& text : said) CHECK(text.find("USER:") == std::string::npos);
}

TEST_CASE("a tokenizer that learns from dialogues learns what stands around the turns") {
  const auto source = open_world(settings_of("questions"));
  const std::vector<std::string> said = captions_of(*source, 20);
  for (const char* phrase : {"USER: ", "ASSISTANT:", "user\n", "assistant\n"}) {
    INFO(phrase);
    const auto with = std::count_if(said.begin(), said.end(), [&](const std::string& text) {
      return text.find(phrase) != std::string::npos;
    });
    CHECK(with >= 2);  // once is too seldom for a merge
  }
}

}  // namespace world_tasks_test
