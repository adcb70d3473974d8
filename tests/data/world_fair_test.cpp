// The world is a fair measure: who sees everything finds everything, who sees only which attributes
// occur does not, and training never shows or names what is held out.
#include <catch2/catch.hpp>
#include <set>

#include "tandem/base/error.h"
#include "tandem/data/world/baselines.h"
#include "tandem/data/world/caption.h"
#include "tandem/data/world/gallery.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/source.h"
#include "world_support.h"

namespace world_fair_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::data::world;
using namespace tandem::testing;

TEST_CASE("an oracle that reads the scene finds what it looks for") {
  for (const std::uint64_t seed : {0, 1, 2}) {
    for (const int objects : {2, 4, 6}) {
      INFO("seed " << seed << ", up to " << objects << " objects");
      const RetrievalScores oracle = oracle_scores(rules_of(Split::test, objects, seed));
      CHECK(oracle.text_at_1 >= 0.99);
      CHECK(oracle.picture_at_1 >= 0.99);
      CHECK(oracle.hard_text >= 0.99);
      CHECK(oracle.hard_picture >= 0.99);
    }
  }
}

TEST_CASE("a bag of attributes stays below 0.35 on the hard gallery, and not at nothing") {
  for (const std::uint64_t seed : {0, 1, 2}) {
    for (const int objects : {2, 4, 6}) {
      INFO("seed " << seed << ", up to " << objects << " objects");
      const RetrievalScores bag = bag_of_attributes_scores(rules_of(Split::test, objects, seed));
      CHECK(bag.hard_text <= 0.35);
      CHECK(bag.hard_picture <= 0.35);
      CHECK(bag.hard_text >= 0.20);
      CHECK(bag.text_at_1 >= 0.5);  // among strangers attributes tell nearly all
    }
  }
}

TEST_CASE("the baselines that a report prints are those of their functions") {
  const WorldBaselines baselines = world_baselines();
  CHECK(baselines.oracle.hard_text == oracle_scores({}).hard_text);
  CHECK(baselines.bag_of_attributes.picture_at_1 == bag_of_attributes_scores({}).picture_at_1);
}

TEST_CASE("training scenes show no held-out pair and test scenes at least one") {
  for (const int objects : {1, 2, 6}) {
    for (std::int64_t i = 0; i < 3000; ++i) {
      REQUIRE(held_out_pairs(make_scene(rules_of(Split::train, objects), i)) == 0);
      const Scene test = make_scene(rules_of(Split::test, objects), i);
      REQUIRE(held_out_pairs(test) >= 1);
      REQUIRE(test.objects.size() <= static_cast<std::size_t>(objects));
    }
  }
}

TEST_CASE("every shape, colour, size, texture, place, background and number occurs in training") {
  std::set<int> shapes, colours, sizes, textures, places, backgrounds;
  std::set<std::pair<int, int>> pairs, held;
  std::set<std::size_t> counts;
  for (std::int64_t i = 0; i < 2000; ++i) {
    const Scene scene = make_scene({}, i);
    backgrounds.insert(scene.background);
    counts.insert(scene.objects.size());
    for (const Object& object : scene.objects) {
      shapes.insert(object.look.shape);
      colours.insert(object.look.colour);
      sizes.insert(object.look.size);
      textures.insert(object.look.texture);
      places.insert(object.place);
      pairs.insert({object.look.shape, object.look.colour});
    }
    for (const Object& object : make_scene(rules_of(Split::test), i).objects) {
      if (held_out(object.look.shape, object.look.colour)) {
        held.insert({object.look.shape, object.look.colour});
      }
    }
  }
  CHECK(shapes.size() == kShapes);
  CHECK(colours.size() == kColours);
  CHECK(sizes.size() == kSizes);
  CHECK(textures.size() == kTextures);
  CHECK(places.size() == kPlaces);
  CHECK(backgrounds.size() == kBackgrounds);
  CHECK(counts.size() == kMaxObjects);
  // The rule splits the 48 pairs in two, and both halves are seen whole.
  CHECK(pairs.size() + held.size() == kShapes * kColours);
  CHECK(held.size() == 10);
}

TEST_CASE("texts of training never name a held-out pair, whatever the settings") {
  for (const std::string captions : {"full", "mixed"}) {
    for (const int variants : {1, 5}) {
      WorldSettings settings;
      settings.captions = captions;
      settings.variants = variants;
      settings.size = 400;
      settings.wrong = 0.5;
      const auto source = open_world(settings);
      for (std::int64_t i = 0; i < settings.size; ++i) {
        for (const std::string& text : source->read(i).texts) {
          const auto said = read_caption(text);
          REQUIRE(said.has_value());
          for (const Claim& claim : said->claims) {
            const bool named = claim.shape && claim.colour;
            REQUIRE_FALSE((named && held_out(*claim.shape, *claim.colour)));
          }
        }
      }
    }
  }
}

TEST_CASE("a group of the hard gallery has seven other bindings and two single changes") {
  for (int group = 0; group < kHardGroups; ++group) {
    const std::vector<Scene> scenes = hard_group({}, group);
    REQUIRE(scenes.size() == kHardVariants);
    std::multiset<std::multiset<std::string>> bags;
    for (std::size_t i = 0; i < scenes.size(); ++i) {
      CHECK(scenes[i].index == group * kHardVariants + static_cast<int>(i));
      for (std::size_t j = 0; j < i; ++j) CHECK_FALSE(same_meaning(scenes[i], scenes[j]));
      std::multiset<std::string> bag{"background " + std::to_string(scenes[i].background)};
      for (const Object& object : scenes[i].objects) {
        bag.insert("shape " + std::to_string(object.look.shape));
        bag.insert("colour " + std::to_string(object.look.colour));
        bag.insert("size " + std::to_string(object.look.size));
        bag.insert("texture " + std::to_string(object.look.texture));
        bag.insert("place " + std::to_string(object.place));
      }
      bags.insert(bag);
    }
    std::size_t most = 0;
    for (const auto& bag : bags) most = std::max(most, bags.count(bag));
    CHECK(most == 1 + kHardBindings);
  }
}

TEST_CASE("test scenes of one object differ, and the gallery is no part of the test split") {
  std::vector<Scene> singles;
  for (std::int64_t i = 0; i < 400; ++i) singles.push_back(make_scene(rules_of(Split::test, 1), i));
  for (std::size_t i = 0; i < singles.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) REQUIRE_FALSE(same_meaning(singles[i], singles[j]));
  }
  CHECK(hard_scene({}, 17).objects.size() >= 2);
}

TEST_CASE("captions read back say what the scene shows, in every phrasing") {
  for (std::int64_t i = 0; i < 300; ++i) {
    const Scene scene = make_scene(rules_of(Split::test), i);
    const Scene other = with_one_change(scene, Key(1).fold(static_cast<std::uint64_t>(i)), false);
    CHECK_FALSE(same_meaning(scene, other));
    for (int phrasing = 0; phrasing < kPhrasings; ++phrasing) {
      const std::string text = full_caption(scene, phrasing);
      INFO(text);
      const auto said = read_caption(text);
      REQUIRE(said.has_value());
      CHECK(agrees(*said, scene));
      CHECK_FALSE(agrees(*said, other));
    }
  }
}

TEST_CASE("a text of strange words is not read, and partial texts hold where they can") {
  CHECK_FALSE(read_caption("a red dog").has_value());
  CHECK_FALSE(read_caption("a red circle under the moon").has_value());
  Scene scene;
  scene.background = 2;
  scene.objects = {{{0, 0, 1, 0}, 0}, {{0, 3, 0, 1}, 4}};  // large red circle, small green one
  const auto says = [&](const std::string& text) { return agrees(*read_caption(text), scene); };
  CHECK(says("a circle and a circle"));
  CHECK_FALSE(says("a circle and a circle and a circle"));
  CHECK(says("a green circle at the center and a large circle"));
  CHECK_FALSE(says("a red circle at the center"));
  CHECK_FALSE(says("a red circle and a red circle"));
  CHECK(
      says("on a black background: at the top left a large red circle, at the center a small "
           "striped green circle"));
  CHECK_FALSE(says("on a black background: at the top left a large red circle"));
  CHECK_FALSE(
      says("on a white background: at the top left a large red circle, at the center a small "
           "striped green circle"));
  CHECK_FALSE(
      says("on a black background: at the top left a large red circle, at the center a small green "
           "circle"));
}

TEST_CASE("a change that keeps what is hidden names no held-out pair and changes one thing") {
  std::set<int> kinds;
  for (std::int64_t i = 0; i < 500; ++i) {
    const Scene scene = make_scene({}, i);
    const Scene changed = with_one_change(scene, Key(9).fold(static_cast<std::uint64_t>(i)), true);
    CHECK(held_out_pairs(changed) == 0);
    CHECK_FALSE(same_meaning(scene, changed));
    REQUIRE(changed.objects.size() == scene.objects.size());
    int differences = 0;
    for (const Object& object : changed.objects) {
      const Object* before = object_at(scene, object.place);
      if (before == nullptr) {
        kinds.insert(4);
        ++differences;
        continue;
      }
      const Look &a = before->look, &b = object.look;
      const int here[4] = {a.shape != b.shape, a.colour != b.colour, a.size != b.size,
                           a.texture != b.texture};
      for (int k = 0; k < 4; ++k) {
        differences += here[k];
        if (here[k] != 0) kinds.insert(k);
      }
    }
    CHECK(differences == 1);
  }
  CHECK(kinds.size() == 5);
}

}  // namespace world_fair_test
