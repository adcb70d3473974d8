// What is where in captioned pictures: COCO's instances, the world's objects.

#include <catch2/catch.hpp>

#include "support.h"
#include "tandem/data/coco.h"
#include "tandem/data/picture_files.h"
#include "tandem/data/world/draw.h"
#include "tandem/data/world/instructing.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/source.h"
#include "tandem/data/world/task_reading.h"

namespace boxed_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

constexpr const char* captions = R"({"images": [{"id": 7, "file_name": "a.png"},
  {"id": 8, "file_name": "b.png"}], "annotations": [{"image_id": 7, "caption": "two cats"},
  {"image_id": 8, "caption": "nothing"}]})";
constexpr const char* instances = R"({"annotations": [
  {"image_id": 7, "category_id": 17, "bbox": [1, 2, 3, 4.5], "iscrowd": 0},
  {"image_id": 7, "category_id": 17, "bbox": [0, 0, 2, 2], "iscrowd": 1},
  {"image_id": 7, "category_id": 18, "bbox": [5, 5, 1, 1]},
  {"image_id": 7, "category_id": 17, "bbox": [5, 5]},
  {"image_id": 9, "category_id": 17, "bbox": [0, 0, 1, 1]}],
  "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}, {"id": "x"}],
  "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}, {}]})";

}  // namespace

TEST_CASE("instances say what is in which box of a captioned picture") {
  const TempDir dir;
  for (const char* name : {"a.png", "b.png"}) dir.write(name, png_of(pattern(10, 8, 1)));
  CocoSettings settings;
  settings.path = dir.write("captions.json", captions);
  settings.pictures = dir.path();
  const auto plain = open_coco(settings);
  settings.instances = dir.write("instances.json", instances);
  const auto source = open_coco(settings);
  CHECK(source->fingerprint() != plain->fingerprint());
  const Sample sample = source->read(0);
  CHECK(sample.texts == std::vector<std::string>{"two cats"});
  CHECK(sample.box_names == std::vector<std::string>{"cat", "dog"});
  REQUIRE(sample.boxes.size() == 2);
  CHECK(sample.boxes[0].x0 == 1);
  CHECK(sample.boxes[0].y0 == 2);
  CHECK(sample.boxes[0].x1 == 4);
  CHECK(sample.boxes[0].y1 == 6.5);
  CHECK(source->peek(0).box_names == sample.box_names);
  CHECK(source->read(1).boxes.empty());
  CHECK(source->left_out().size() == 4);  // no bbox, no image, no name twice
  const auto size = stored_size(*source, 0, source->peek(0));
  REQUIRE(size);
  CHECK(size->width == 10);
  CHECK(size->height == 8);
  settings.instances = dir.write("none.json", R"({"images": [], "annotations": []})");
  CHECK(contains(error_of([&] { open_coco(settings); }).message(), "expected boxes"));
}

TEST_CASE("the world says where its objects are, where it is asked to") {
  world::WorldSettings settings;
  settings.size = 40;
  CHECK(world::open_world(settings)->read(0).boxes.empty());
  settings.boxes = true;
  const auto source = world::open_world(settings);
  for (std::int64_t i = 0; i < source->size(); ++i) {
    const Sample sample = source->peek(i);
    const auto scene = world::scene_of(*source, i);
    REQUIRE(scene);
    REQUIRE(sample.boxes.size() == scene->objects.size());
    for (std::size_t k = 0; k < sample.boxes.size(); ++k) {
      const Box box = world::object_box(*scene, scene->objects[k], 64);
      CHECK(sample.boxes[k].x0 == box.x0);
      CHECK(sample.boxes[k].y1 == box.y1);
      CHECK(sample.box_names[k] ==
            world::kShapeWords[static_cast<std::size_t>(scene->objects[k].look.shape)]);
    }
  }
  settings.task = "vqa";
  CHECK(error_of([&] { world::open_world(settings); }).kind() == ErrorKind::config);
  settings.boxes = false;
  CHECK_FALSE(world::scene_of(*world::open_world(settings), 0));
}

TEST_CASE("what the world answers is so, as an oracle reads it") {
  world::WorldSettings settings;
  settings.size = 300;
  const auto source = world::open_world(settings);
  std::size_t read = 0, yes = 0, more = 0;
  for (std::int64_t i = 0; i < source->size(); ++i) {
    const world::Scene scene = *world::scene_of(*source, i);
    const auto said = world::exact_conversation(scene, Key(1).fold(i));
    CHECK(said.size() >= 3);
    for (const auto& [question, answer] : said) {
      if (question == "what color is the background?") {
        CHECK(answer == world::kBackgroundWords[static_cast<std::size_t>(scene.background)]);
        continue;
      }
      CAPTURE(question);
      CHECK(world::answer_question(question, scene).value_or("not read") == answer);
      yes += answer == "yes" ? 1 : 0;
      ++read;
    }
    const auto described = world::read_caption(world::exact_description(scene, Key(2).fold(i)));
    CHECK((described && described->background && world::agrees(*described, scene)));
    const auto [question, answer] = world::exact_reasoning(scene, Key(3).fold(i));
    const auto count = [&](const std::string& plural) {
      int number = 0;
      for (const world::Object& object : scene.objects) {
        const std::string one(world::kShapeWords[static_cast<std::size_t>(object.look.shape)]);
        number += plural == one + "s" || plural == one + "es" ? 1 : 0;
      }
      return number;
    };
    const std::size_t first = question.find("more ") + 5, than = question.find(" than ");
    const int a = count(question.substr(first, than - first));
    const int b = count(question.substr(than + 6, question.find('?') - than - 6));
    CHECK(answer.starts_with(a > b ? "yes, " : "no, "));
    CHECK(contains(answer, "there are " + std::to_string(a) + " "));
    CHECK(contains(answer, " and " + std::to_string(b) + " "));
    more += a > b ? 1 : 0;
  }
  CHECK(read > 900);
  CHECK(yes > 20);
  CHECK(more > 60);
  CHECK(more < 240);
}

}  // namespace boxed_test
