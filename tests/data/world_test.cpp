// Pixels and words of the world, pinned: figures on it are compared across machines and years.
// A change of anything here means another kVersion.
#include <algorithm>
#include <array>
#include <set>

#include "data/file.h"
#include "support.h"
#include "tandem/data/world/caption.h"
#include "tandem/data/world/draw.h"
#include "tandem/data/world/gallery.h"
#include "tandem/data/world/scene.h"

namespace world_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::data::world;

namespace {

std::string_view bytes_of(const vision::Image& image) {
  return {reinterpret_cast<const char*>(image.rgb.data()), image.rgb.size()};
}

// The scenes that are pinned: both splits, all sides, mostly objects, each other kind eight times.
constexpr int kPinned = 100;
struct Pinned {
  Scene scene{};
  int side = 64;
};
Pinned pinned_scene(int i) {
  SceneRules rules;
  rules.seed = static_cast<std::uint64_t>(i % 5);
  rules.split = i % 2 == 0 ? Split::train : Split::test;
  rules.max_objects = 1 + i % kMaxObjects;
  if (i >= 68) {
    constexpr std::array kinds{Kind::worded, Kind::page, Kind::screen, Kind::clip};
    rules.kind = kinds[static_cast<std::size_t>(i % 4)];
  }
  return {make_scene(rules, 1000 * i + i),
          std::array{64, 96, 224}[static_cast<std::size_t>(i % 3)]};
}

constexpr std::array<std::uint64_t, kPinned> kPixels{
    0xd3bcdfdbdc192ce,  0xb49dd7c0622f7300, 0x8248d37753056116, 0x8d958c6edd919f11,
    0xad9338fbdb8141a4, 0x3db7e462a3735909, 0xe42f8918bf23111f, 0xdcc00df754661631,
    0x3f39906058768f28, 0xa82a8a4254d32aea, 0xfb1f2fc692e45671, 0x3fa45ae69ac565d,
    0xd68e79d407fd517a, 0x523a96e631d82fc0, 0x870fb1e27cac73c7, 0xe8abfc2774582a7e,
    0x4ce9353eddeafc7e, 0xebfefd43dd7529ff, 0xfdee9fed337cc0e0, 0xc57b4aabb62e0a1b,
    0x9fbc3ccfbd732986, 0xbabbdc05044b18d3, 0xeb731d466b74ac06, 0xe18b1ce50814b5ca,
    0xdc72bf62d58a8c6c, 0x42b73a34852065ab, 0x992ef515a574a711, 0x94f3b383a18d51f1,
    0x27ed92589ee9edf6, 0xc4248340232d592c, 0xc33fe810e01307c0, 0x2bcfeb75d7d3affb,
    0xcda032a9be37dbf7, 0x3e580d3a3f801551, 0xab19cd5c71d5ec6b, 0x74dce2bd105d2a58,
    0x16b5e9c8c71eeae9, 0x2f4febb089905c0b, 0x1780310d3c677bda, 0xdfffef51e4970516,
    0xda10e476f6186692, 0xb5ce59b54612069c, 0xda299f3385b1267,  0x39a3100d5e17a01d,
    0xaeaf9e425dc15c4a, 0x343fd2c4cd4f0fa5, 0x501c089dca81a76,  0x6c246b758411b63,
    0xa2268e394f83b34e, 0x8f51427b78c66da3, 0xb9552fe7fb06c67c, 0x9156386765b2a9af,
    0xe32185edb2816a63, 0xb58323492346ba78, 0x65a800f2d573b639, 0xb097186fdd92aee1,
    0x3e3dac3088f30c36, 0x7b78724d8907bcda, 0x4a04373e0b3e1a7f, 0x2bca72317db86397,
    0xe756a56ee76996a,  0xe1c6d3995a16f2ba, 0x9d35ddd65add74ec, 0xc20a406ce82e8703,
    0x69b88b0d9cff989f, 0x18af4a7421b352,   0x403448eee034c35,  0x76a40414669cc236,
    0xb4330a9074d37a67, 0x699e51840d38e904, 0xfc7d55b43a387681, 0xb14bc579bffe6a84,
    0xfe4303d24589380b, 0x7a923b1a93202408, 0xd2d02a8576872e18, 0x1264cec22d654fd2,
    0xbff33b159dd14cff, 0x5a989137bb767b5a, 0xa25791847cb9f459, 0xbb4915b3888d5394,
    0xd58ff576dc5c872f, 0xb95a588e97a4154a, 0xdf5733ce5ce2fc02, 0xc54fcbc1501a9b50,
    0x6a01a9e3505f0f3f, 0x76c4b02c73802d40, 0x857733e43a300596, 0x9db81e5a3befdf39,
    0xc89534043ecba074, 0x2cbed9b0ff2bdaaa, 0xd79afb0265456f85, 0xab1ef677d63bf57e,
    0x7a82b98bd78d5b7c, 0xf20ca904938126bf, 0xf3a7c7953dd5f428, 0x424f7f170d18eec4,
    0xb1423689bf7f6f4f, 0x120f06b91a085dfd, 0x345e21978e3a6449, 0x6940d97ee25f4efe};

// Where a picture differs from another one: the box around those pixels.
Box difference(const vision::Image& a, const vision::Image& b) {
  Box box{1e9, 1e9, 0, 0};
  for (int y = 0; y < a.height; ++y) {
    for (int x = 0; x < a.width; ++x) {
      if (std::equal(a.row(y) + 3 * x, a.row(y) + 3 * x + 3, b.row(y) + 3 * x)) continue;
      box.x0 = std::min<double>(box.x0, x);
      box.y0 = std::min<double>(box.y0, y);
      box.x1 = std::max<double>(box.x1, x + 1);
      box.y1 = std::max<double>(box.y1, y + 1);
    }
  }
  return box;
}

}  // namespace

TEST_CASE("the pixels of 100 scenes are those of version 1") {
  STATIC_REQUIRE(kVersion == 1);
  for (int i = 0; i < kPinned; ++i) {
    const Pinned pinned = pinned_scene(i);
    const int frame = pinned.scene.frames > 1 ? i % pinned.scene.frames : 0;
    INFO("scene " << i);
    CHECK(hash64(bytes_of(draw(pinned.scene, pinned.side, frame))) ==
          kPixels[static_cast<std::size_t>(i)]);
  }
}

TEST_CASE("the captions of 100 scenes are those of version 1") {
  std::uint64_t full = 0, brief = 0, changed = 0;
  for (int i = 0; i < kPinned; ++i) {
    SceneRules rules;
    rules.split = i % 2 == 0 ? Split::train : Split::test;
    const Scene scene = make_scene(rules, i);
    const Key key = Key(3).fold(static_cast<std::uint64_t>(i));
    full = hash64(full_caption(scene, key), full);
    brief = hash64(short_caption(scene, key), brief);
    changed = hash64(full_caption(with_one_change(scene, key, i % 2 == 0), 0), changed);
  }
  CHECK(hex(full) == "3638e6534194f8bd");
  CHECK(hex(brief) == "c83d19535a76fb3c");
  CHECK(hex(changed) == "9abb177780305e57");
  CHECK(full_caption(make_scene({}, 0), 0) ==
        "a large striped yellow square at the top right, a small purple square at the center and a "
        "small yellow ring at the bottom left on a gray background");
  CHECK(full_caption(make_scene({}, 0), 4) ==
        "gray background; top right large striped yellow square, center small purple square; "
        "bottom left small yellow ring");
}

TEST_CASE("the hard gallery and the groups of variants are those of version 1") {
  std::uint64_t hard = 0, groups = 0;
  for (int group = 0; group < kHardGroups; ++group) {
    for (const Scene& scene : hard_group({}, group)) hard = hash64(full_caption(scene, 0), hard);
    for (const Scene& scene : contrast_group({}, group, 4)) {
      groups = hash64(full_caption(scene, 0), groups);
    }
  }
  CHECK(hex(hard) == "6790b6474bdb4a11");
  CHECK(hex(groups) == "58eb4ff1e373b5c9");
}

TEST_CASE("an object's box is the one around its pixels") {
  for (int shape = 0; shape < kShapes; ++shape) {
    for (const int size : {0, 1}) {
      for (const int side : {64, 96, 224}) {
        Scene scene;
        const vision::Image empty = draw(scene, side);
        Object object;
        object.look = {shape, 5, size, 0};
        object.place = 5;
        object.shift_x = 31;
        object.shift_y = -40;
        scene.objects.push_back(object);
        const Box drawn = difference(draw(scene, side), empty);
        const Box stated = object_box(scene, object, side);
        INFO(kShapeWords[static_cast<std::size_t>(shape)] << " " << size << " at " << side);
        // A pixel's edge, and the point of a triangle or a diamond that is thinner than a sample.
        CHECK(drawn.x0 == Approx(stated.x0).margin(1.1));
        CHECK(drawn.y0 == Approx(stated.y0).margin(1.1));
        CHECK(drawn.x1 == Approx(stated.x1).margin(1.1));
        CHECK(drawn.y1 == Approx(stated.y1).margin(1.1));
      }
    }
  }
}

TEST_CASE("a button's box is the one around its face") {
  for (int place = 0; place < kPlaces; ++place) {
    Scene scene;
    const vision::Image empty = draw(scene, 96);
    scene.buttons.push_back({"OK", place, 0});
    const Box drawn = difference(draw(scene, 96), empty);
    const Box stated = button_box(scene.buttons[0], 96);
    CHECK(drawn.x0 == stated.x0);
    CHECK(drawn.y0 == stated.y0);
    CHECK(drawn.x1 == stated.x1);
    CHECK(drawn.y1 == stated.y1);
  }
}

TEST_CASE("shade, shift and texture change pixels, and each attribute does") {
  Scene scene;
  scene.objects.push_back({{1, 2, 0, 0}, 4});
  const vision::Image base = draw(scene, 64);
  std::set<std::string> pictures{std::string(bytes_of(base))};
  const auto with = [&](auto change) {
    Scene other = scene;
    change(other);
    pictures.insert(std::string(bytes_of(draw(other, 64))));
  };
  with([](Scene& s) { s.objects[0].look.shape = 0; });
  with([](Scene& s) { s.objects[0].look.colour = 3; });
  with([](Scene& s) { s.objects[0].look.size = 1; });
  with([](Scene& s) { s.objects[0].look.texture = 1; });
  with([](Scene& s) { s.objects[0].place = 3; });
  with([](Scene& s) { s.objects[0].shift_x = 100; });
  with([](Scene& s) { s.objects[0].shade = 9; });
  with([](Scene& s) { s.background = 3; });
  CHECK(pictures.size() == 9);
}

TEST_CASE("the objects of a scene are the same in its clip, and move within the picture") {
  int moving = 0;
  for (std::int64_t i = 0; i < 100; ++i) {
    SceneRules rules;
    const Scene still = make_scene(rules, i);
    rules.kind = Kind::clip;
    const Scene clip = make_scene(rules, i);
    CHECK(same_meaning(still, clip));
    CHECK(draw(still, 64) == draw(clip, 64, 0));
    REQUIRE(clip.frames >= 8);
    const bool moves = std::any_of(clip.objects.begin(), clip.objects.end(),
                                   [](const Object& o) { return o.motion.speed > 0; });
    CHECK((draw(clip, 64, clip.frames - 1) != draw(clip, 64, 0)) == moves);
    moving += moves;
    for (const Object& object : clip.objects) {
      const Box box = object_box(clip, object, 64, clip.frames - 1);
      CHECK(box.x1 - box.x0 > 4);
      CHECK(box.y1 - box.y0 > 4);
    }
  }
  CHECK(moving > 50);
}

TEST_CASE("screens have one target, pages have words, and their texts fit") {
  for (std::int64_t i = 0; i < 200; ++i) {
    SceneRules rules;
    rules.kind = Kind::screen;
    const Scene screen = make_scene(rules, i);
    REQUIRE(screen.buttons.size() >= 2);
    CHECK(screen.target >= 0);
    CHECK(screen.target < static_cast<int>(screen.buttons.size()));
    std::set<std::string> texts;
    for (const Button& button : screen.buttons) texts.insert(button.text);
    CHECK(texts.size() == screen.buttons.size());
    rules.kind = Kind::page;
    const Scene page = make_scene(rules, i);
    CHECK_FALSE(page.words.empty());
    for (const Word& word : page.words) CHECK(word.text.size() <= 10);
    rules.kind = Kind::worded;
    const Scene worded = make_scene(rules, i);
    CHECK(worded.words.size() == 1);
    for (const Object& object : worded.objects) CHECK(object.place < 6);
  }
}

TEST_CASE("proper names belong to looks that training shows") {
  std::set<std::string> names;
  for (std::int64_t i = 0; i < 3000; ++i) {
    for (const Object& object : make_scene({}, i).objects) {
      if (const auto name = proper_name(object.look); !name.empty()) names.emplace(name);
    }
  }
  CHECK(names.size() == 6);
  CHECK(proper_name({0, 0, 0, 0}).empty());
}

TEST_CASE("scenes depend on seed, split and index alone") {
  SceneRules rules;
  CHECK(same_meaning(make_scene(rules, 5), make_scene(rules, 5)));
  int same = 0;
  for (std::int64_t i = 0; i < 100; ++i) {
    rules.seed = 1;
    same += same_meaning(make_scene({}, i), make_scene(rules, i));
    same += same_meaning(make_scene({}, i), make_scene({}, i + 1));
  }
  CHECK(same <= 2);
}

TEST_CASE("what no scene can be is an internal error") {
  CHECK_THROWS_AS(make_scene({}, -1), Error);
  SceneRules rules;
  rules.max_objects = 7;
  CHECK_THROWS_AS(make_scene(rules, 0), Error);
  rules.max_objects = 1;
  CHECK_THROWS_AS(hard_group(rules, 0), Error);
  CHECK_THROWS_AS(hard_group({}, kHardGroups), Error);
  CHECK_THROWS_AS(hard_scene({}, kHardSize), Error);
  CHECK_THROWS_AS(contrast_group({}, 0, kMaxVariants + 1), Error);
  CHECK_THROWS_AS(draw(make_scene({}, 0), 100), Error);
  CHECK_THROWS_AS(full_caption(make_scene({}, 0), kPhrasings), Error);
  CHECK_THROWS_AS(with_one_change({}, Key(1), false), Error);
}

}  // namespace world_test
