#pragma once
// One sample as a source gives it, before any decoding. No torch.

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/vision/image.h"

namespace tandem::data {

// A picture as its encoded bytes (JPEG, PNG: decoded by the loader's threads) or as pixels already
// (the world draws them).
struct Picture {
  std::vector<std::uint8_t> encoded{};
  vision::Image pixels{};  // used when `encoded` is empty
};

struct Turn {
  std::string role{}, text{};
};

struct Box {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // pixels of the picture as it is stored
};

struct Sample {
  std::string id{};             // what a person finds it by: a file's name, a shard and a key
  std::int64_t picture_id = 0;  // equal for samples that show the same picture
  std::int64_t group = -1;      // samples that are told apart from each other (the hard gallery)
  std::vector<Picture> pictures{};
  std::vector<std::string> texts{};  // captions; an epoch draws one by key
  std::vector<Turn> turns{};
  std::vector<Box> boxes{};
  std::string question{}, answer{};
  std::int64_t label = -1;
};

}  // namespace tandem::data
