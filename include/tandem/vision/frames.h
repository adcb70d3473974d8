#pragma once
// Which frames of a video a model sees, by qwen_vl_utils' rule (smart_nframes).

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/vision/any_resolution.h"

namespace tandem::vision {

struct FrameRule {
  double fps = 2;           // frames a second of what is sampled
  std::int64_t frames = 0;  // above 0: that many, rounded to an even number, whatever the rate
  std::int64_t least = 4, most = 768;
  double start = -1, end = -1;  // seconds; below 0: from the begin, to the end
};

struct FrameChoice {
  std::vector<std::int64_t> indices;  // of the video's frames, rising, an even number of them
  double fps = 0;                     // that they really have
  // Seconds between two slices of time, of `frames` frames each.
  double seconds_per_grid(std::int64_t frames) const { return static_cast<double>(frames) / fps; }
};

// total: frames of the video; fps: of it. Throws Error(data) where too few frames are left.
FrameChoice choose_frames(std::int64_t total, double fps, const FrameRule& rule,
                          const std::string& where = {});

// Area of a frame, by the number of frames: all of a clip share 90 % of `tokens` (of the language
// model's context), and every one gets between 128 and 768 tokens, but 5 % above the least always.
PixelLimits frame_limits(std::int64_t frames, const PatchShape& shape,
                         std::int64_t tokens = 128000);

}  // namespace tandem::vision
