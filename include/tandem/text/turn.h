#pragma once
// A dialogue as it is written: turns of people, whose content is text, pictures and clips in order.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tandem::text {

enum class PartKind { text, picture, clip };

// What an item of a dialogue asks for itself; 0: nothing.
struct VisionWish {
  std::int64_t min_pixels = 0, max_pixels = 0;  // of a picture, of each frame of a clip
  std::int64_t height = 0, width = 0;           // to this size
  double fps = 0;
  std::int64_t frames = 0, min_frames = 0, max_frames = 0;
  double start = 0, end = 0;  // seconds of a clip
  friend bool operator==(const VisionWish&, const VisionWish&) = default;
};

struct Part {
  PartKind kind = PartKind::text;
  std::string text{};
  std::int64_t index = 0;  // of a picture or a clip: its place in the sample's
  VisionWish wish{};
  // A text that stood beside a tag for a picture in one string: templates without line breaks
  // around pictures leave out the spaces at its ends.
  bool tagged = false;
  friend bool operator==(const Part&, const Part&) = default;
};

inline Part text_part(std::string text) { return {PartKind::text, std::move(text), 0, {}, false}; }
inline Part picture_part(std::int64_t index) { return {PartKind::picture, {}, index, {}, false}; }
inline Part clip_part(std::int64_t index) { return {PartKind::clip, {}, index, {}, false}; }

struct Turn {
  std::string role{};  // system, user, assistant
  std::vector<Part> parts{};
  friend bool operator==(const Turn&, const Turn&) = default;
};

}  // namespace tandem::text
