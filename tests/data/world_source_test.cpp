#include <catch2/catch.hpp>
#include <set>

#include "tandem/base/error.h"
#include "tandem/data/world/draw.h"
#include "tandem/data/world/gallery.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/source.h"

namespace world_source_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::data::world;

namespace {

WorldSettings settings_of(const std::string& split, std::int64_t size = 1000) {
  WorldSettings settings;
  settings.split = split;
  settings.size = size;
  return settings;
}

Scene train_scene(std::int64_t index) { return make_scene({}, index); }

bool names_held_out(const std::string& text) {
  const auto said = read_caption(text);
  REQUIRE(said.has_value());
  for (const Claim& claim : said->claims) {
    if (claim.shape && claim.colour && held_out(*claim.shape, *claim.colour)) return true;
  }
  return false;
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

TEST_CASE("the world is a format that a config may name") {
  const auto settings = source_formats().make("world");
  REQUIRE(settings != nullptr);
  const auto source = open_source("world", *settings);
  CHECK(source->size() == 100'000);
  CHECK(source->read(123).id == "world/train/000123");
}

TEST_CASE("a sample of the world is its scene's picture and texts that are true of it") {
  const auto source = open_world(settings_of("train"));
  for (std::int64_t i = 0; i < 100; ++i) {
    const Sample sample = source->read(i);
    REQUIRE(sample.pictures.size() == 1);
    CHECK(sample.pictures[0].encoded.empty());
    CHECK(sample.pictures[0].pixels == draw(train_scene(i), 64));
    CHECK(sample.picture_id == i);
    CHECK(sample.group == -1);
    CHECK(sample.label == -1);
    REQUIRE(sample.texts.size() == 5);
    CHECK(std::set<std::string>(sample.texts.begin(), sample.texts.end()).size() == 5);
    for (const std::string& text : sample.texts) {
      const auto said = read_caption(text);
      REQUIRE(said.has_value());
      CHECK(said->background.has_value());
      CHECK(agrees(*said, train_scene(i)));
    }
    CHECK(source->read(i).texts == sample.texts);
  }
}

TEST_CASE("first texts use every phrasing, and another seed gives another world") {
  auto settings = settings_of("test");
  const auto source = open_world(settings);
  std::set<std::string> starts;
  for (std::int64_t i = 0; i < 50; ++i) starts.insert(source->read(i).texts[0].substr(0, 5));
  CHECK(starts.size() >= 5);
  settings.seed = 1;
  const auto other = open_world(settings);
  int same = 0;
  for (std::int64_t i = 0; i < 50; ++i) same += other->read(i).texts[0] == source->read(i).texts[0];
  CHECK(same <= 1);
}

TEST_CASE("short and mixed captions are true") {
  for (const std::string kind : {"short", "mixed"}) {
    auto settings = settings_of("train");
    settings.captions = kind;
    const auto source = open_world(settings);
    int complete = 0;
    for (std::int64_t i = 0; i < 200; ++i) {
      const Sample sample = source->read(i);
      REQUIRE(sample.texts.size() == (kind == "short" ? 5 : 10));
      for (const std::string& text : sample.texts) {
        INFO(text);
        const auto said = read_caption(text);
        REQUIRE(said.has_value());
        CHECK(agrees(*said, train_scene(i)));
      }
      complete += read_caption(sample.texts[0])->background.has_value();
    }
    CHECK(complete >= (kind == "short" ? 0 : 70));
    CHECK(complete <= (kind == "short" ? 0 : 130));
  }
}

TEST_CASE("the stated share of captions is wrong, in all texts, and labelled so") {
  for (const std::string kind : {"full", "mixed", "short"}) {
    auto settings = settings_of("train");
    settings.captions = kind;
    settings.wrong = 0.3;
    const auto source = open_world(settings);
    int wrong = 0;
    for (std::int64_t i = 0; i < 500; ++i) {
      const Sample sample = source->read(i);
      REQUIRE((sample.label == 0 || sample.label == 1));
      REQUIRE_FALSE(sample.texts.empty());
      wrong += sample.label == 0;
      for (const std::string& text : sample.texts) {
        INFO(text);
        CHECK(agrees(*read_caption(text), train_scene(i)) == (sample.label == 1));
        CHECK_FALSE(names_held_out(text));
      }
    }
    CHECK(wrong > 120);
    CHECK(wrong < 180);
  }
}

TEST_CASE("half of the wrong captions change one thing, half are another scene's") {
  auto settings = settings_of("train");
  settings.wrong = 1;
  const auto source = open_world(settings);
  int close = 0;
  for (std::int64_t i = 0; i < 300; ++i) {
    const Scene scene = train_scene(i);
    const auto said = read_caption(source->read(i).texts[0]);
    // With one thing changed, all objects but one are those of the picture.
    int equal = 0;
    for (const Claim& claim : said->claims) {
      const Description one{{}, {claim}};
      equal += agrees(one, scene);
    }
    close += said->background == scene.background && said->claims.size() == scene.objects.size() &&
             equal + 1 == static_cast<int>(scene.objects.size());
  }
  CHECK(close > 120);
  CHECK(close < 195);  // another scene may be as close by chance when it has one object
}

TEST_CASE("the hard gallery has 500 pictures in groups of ten") {
  const auto source = open_world(settings_of("hard"));
  REQUIRE(source->size() == kHardSize);
  const std::vector<Scene> group = hard_group({}, 3);
  for (int i = 0; i < kHardVariants; ++i) {
    const Sample sample = source->read(30 + i);
    CHECK(sample.group == 3);
    CHECK(sample.pictures[0].pixels == draw(group[static_cast<std::size_t>(i)], 64));
    CHECK(sample.id == "world/hard/0000" + std::to_string(30 + i));
  }
}

TEST_CASE("variants come in groups that differ, without a held-out pair") {
  for (const int variants : {2, 4, 16}) {
    auto settings = settings_of("train", 50 * variants);
    settings.variants = variants;
    const auto source = open_world(settings);
    for (std::int64_t group = 0; group < 50; ++group) {
      std::set<std::string> texts;
      const std::vector<Scene> scenes = contrast_group({}, group, variants);
      bool holds_original = false;
      for (int i = 0; i < variants; ++i) {
        const Sample sample = source->read(group * variants + i);
        CHECK(sample.group == group);
        CHECK(sample.picture_id == group * variants + i);
        const Scene& scene = scenes[static_cast<std::size_t>(i)];
        CHECK(sample.pictures[0].pixels == draw(scene, 64));
        CHECK(agrees(*read_caption(sample.texts[0]), scene));
        for (const std::string& text : sample.texts) CHECK_FALSE(names_held_out(text));
        for (int j = 0; j < i; ++j) {
          CHECK_FALSE(same_meaning(scene, scenes[static_cast<std::size_t>(j)]));
        }
        holds_original = holds_original || same_meaning(scene, train_scene(group));
      }
      CHECK(holds_original);
    }
  }
}

TEST_CASE("variants of scenes with one object alone can be made") {
  auto settings = settings_of("train", 16 * 50);
  settings.variants = 16;
  settings.max_objects = 1;
  const auto source = open_world(settings);
  for (std::int64_t i = 0; i < 50; ++i) CHECK(source->read(16 * i).group == i);
}

TEST_CASE("settings of the world that do not fit together are refused") {
  auto settings = settings_of("train");
  settings.side = 100;
  CHECK(is_config_error(settings));
  settings = settings_of("hard");
  settings.captions = "short";
  CHECK(is_config_error(settings));
  settings = settings_of("hard");
  settings.max_objects = 1;
  CHECK(is_config_error(settings));
  settings = settings_of("hard");
  settings.variants = 2;
  CHECK(is_config_error(settings));
  settings = settings_of("train", 1001);
  settings.variants = 2;
  CHECK(is_config_error(settings));
}

TEST_CASE("the world's fingerprint names what changes its samples") {
  const std::string base = open_world(settings_of("train"))->fingerprint();
  CHECK(base.find("world:v1:train:1000") == 0);
  const auto changed = [&](auto change) {
    auto settings = settings_of("train");
    change(settings);
    return open_world(settings)->fingerprint() != base;
  };
  CHECK(changed([](WorldSettings& s) { s.split = "test"; }));
  CHECK(changed([](WorldSettings& s) { s.size = 999; }));
  CHECK(changed([](WorldSettings& s) { s.side = 96; }));
  CHECK(changed([](WorldSettings& s) { s.max_objects = 3; }));
  CHECK(changed([](WorldSettings& s) { s.captions = "mixed"; }));
  CHECK(changed([](WorldSettings& s) { s.wrong = 0.1; }));
  CHECK(changed([](WorldSettings& s) { s.variants = 2; }));
  CHECK(changed([](WorldSettings& s) { s.seed = 3; }));
}

TEST_CASE("peeking at a sample says what reading does, without drawing it") {
  WorldSettings wrong = settings_of("train");
  wrong.wrong = 0.5;
  for (const WorldSettings& settings : {settings_of("test"), settings_of("hard"), wrong}) {
    const auto source = open_world(settings);
    for (std::int64_t i = 0; i < 40; ++i) {
      const Sample peeked = source->peek(i), read = source->read(i);
      CHECK(peeked.pictures.empty());
      CHECK(read.pictures.size() == 1);
      CHECK(peeked.texts == read.texts);
      CHECK(peeked.id == read.id);
      CHECK(peeked.label == read.label);
      CHECK(peeked.group == read.group);
    }
  }
}

TEST_CASE("a sample of the world may be a picture alone, or texts alone") {
  WorldSettings both;
  both.size = 20;
  WorldSettings pictures = both, texts = both;
  pictures.only = "pictures";
  texts.only = "texts";
  const auto a = open_world(both), b = open_world(pictures), c = open_world(texts);
  for (std::int64_t i = 0; i < 20; ++i) {
    const Sample whole = a->read(i), picture = b->read(i), text = c->read(i);
    CHECK(picture.texts.empty());
    CHECK(picture.pictures.at(0).pixels.rgb == whole.pictures.at(0).pixels.rgb);
    CHECK(text.pictures.empty());
    CHECK(text.texts == whole.texts);
    CHECK(b->peek(i).texts.empty());
  }
  CHECK(b->fingerprint() != a->fingerprint());
  CHECK(c->fingerprint() != a->fingerprint());
}

TEST_CASE("scenes have at least min_objects and at most max_objects, each number drawn") {
  for (const auto& [few, many] : {std::pair{1, 2}, {2, 2}, {2, 4}, {6, 6}}) {
    SceneRules rules;
    rules.min_objects = few;
    rules.max_objects = many;
    std::set<int> counts;
    for (std::int64_t i = 0; i < 200; ++i) {
      counts.insert(static_cast<int>(make_scene(rules, i).objects.size()));
    }
    CHECK(*counts.begin() == few);
    CHECK(*counts.rbegin() == many);
  }
  WorldSettings wrong = settings_of("train");
  wrong.min_objects = 4;
  wrong.max_objects = 3;
  CHECK(is_config_error(wrong));
}

}  // namespace world_source_test
