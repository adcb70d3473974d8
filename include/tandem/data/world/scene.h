#pragma once
// The built-in world: what a picture shows, before any pixel or word (DESIGN 8).
//
// A Scene is a pure function of (seed, split, index, kind) and of min_ and max_objects. Pixels
// (draw.h) and texts (caption.h and later writers) are pure functions of the scene, so a new kind
// of text never changes a picture. A change of anything that alters scenes or pixels bumps
// kVersion.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::data::world {

inline constexpr int kVersion = 1;

inline constexpr int kShapes = 6, kColours = 8, kSizes = 2, kTextures = 2, kPlaces = 9;
inline constexpr int kBackgrounds = 4, kMaxObjects = 6;

// The words of the attributes, by their number: a caption uses exactly these.
inline constexpr std::array<std::string_view, kShapes> kShapeWords{"circle",  "square", "triangle",
                                                                   "diamond", "cross",  "ring"};
inline constexpr std::array<std::string_view, kColours> kColourWords{
    "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"};
inline constexpr std::array<std::string_view, kSizes> kSizeWords{"small", "large"};
inline constexpr std::array<std::string_view, kTextures> kTextureWords{"plain", "striped"};
inline constexpr std::array<std::string_view, kPlaces> kPlaceWords{
    "top left", "top",         "top right", "left",        "center",
    "right",    "bottom left", "bottom",    "bottom right"};
inline constexpr std::array<std::string_view, kBackgrounds> kBackgroundWords{"white", "gray",
                                                                             "black", "beige"};

// Of clips: the ways of a move in the order up, down, left, right, and its speeds.
inline constexpr std::array<std::string_view, 4> kWayWords{"up", "down", "left", "right"};
inline constexpr std::array<std::string_view, 2> kSpeedWords{"slowly", "fast"};

// What an object looks like, as numbers into the tables above.
struct Look {
  int shape = 0, colour = 0, size = 0, texture = 0;
  friend bool operator==(const Look&, const Look&) = default;
};

// A straight move of whole cells per second, for clips. (0, 0) stands still.
struct Motion {
  int dx = 0, dy = 0;  // -1, 0 or 1: direction
  int speed = 0;       // cells per four seconds: 1 slow, 2 fast; 0 stands still
  int start = 0;       // second at which it starts to move
  int seconds = 0;     // for how long
  friend bool operator==(const Motion&, const Motion&) = default;
};

struct Object {
  Look look{};
  int place = 0;  // row * 3 + column; of a clip: where it is at second 0
  // What no text names: a shift from the place's middle in 1/1024 of a cell, a shade in 1/256.
  int shift_x = 0, shift_y = 0, shade = 0;
  Motion motion{};
};

// A run of capitals, digits and punctuation of the bitmap font, on one line of a page or a button.
struct Word {
  std::string text{};
  int line = 0;  // from the top
  friend bool operator==(const Word&, const Word&) = default;
};

// A button of a small screen; the screen has at most one in each place.
struct Button {
  std::string text{};
  int place = 0, colour = 0;
  friend bool operator==(const Button&, const Button&) = default;
};

// objects: shapes on a background. page: lines of words. screen: buttons, one of them the target.
// clip: objects that move. `worded` is objects with one word along the lower edge.
enum class Kind { objects, worded, page, screen, clip };
enum class Split { train, test };

struct Scene {
  Kind kind = Kind::objects;
  std::int64_t index = 0;
  int background = 0;
  std::vector<Object> objects{};          // by rising place, at most one in each
  std::vector<Word> words{};              // page, worded
  std::vector<Button> buttons{};          // screen
  int target = -1;                        // screen: the button that the task is about
  int frames = 1, frames_per_second = 1;  // clip
};

struct SceneRules {
  std::uint64_t seed = 0;
  Split split = Split::train;
  int max_objects = kMaxObjects;  // 1 to 6
  int min_objects = 1;            // to max_objects
  Kind kind = Kind::objects;
};

// Shape and colour that training never shows together.
constexpr bool held_out(int shape, int colour) { return (shape + colour) % 5 == 0; }

// The scene of an index (>= 0). Train: no held-out pair. Test: at least one; two test scenes of
// one object differ for any 1440 consecutive indices of one block of 1440.
Scene make_scene(const SceneRules& rules, std::int64_t index);

// The proper name of a fixed rare look; empty for all others.
std::string_view proper_name(const Look& look);

// Equal in everything that a full caption names: background, looks and places.
bool same_meaning(const Scene& a, const Scene& b);

// The object at a place, or nullptr.
const Object* object_at(const Scene& scene, int place);

// Puts objects by rising place again after places were changed.
void sort_by_place(Scene& scene);

}  // namespace tandem::data::world
