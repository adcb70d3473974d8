#pragma once
// Real video files for tests, by OpenCV's writer. Without OpenCV's videoio (TANDEM_VIDEO_MAKER is
// not defined then) there are none, and the tests that want one say so and pass.

#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tandem/vision/image.h"

namespace tandem::test {

#ifdef TANDEM_VIDEO_MAKER
inline constexpr bool has_videos = true;
#else
inline constexpr bool has_videos = false;
#define TANDEM_VIDEO_MAKER ""
#endif

inline bool lacks_videos() {
  if (!has_videos) WARN("no videos here: OpenCV's videoio is missing (scripts/setup)");
  return !has_videos;
}

struct MadeVideo {
  std::string fourcc = "MJPG";  // with .avi: built into OpenCV; others: ffmpeg's
  double fps = 10;
};

// false: this codec is not here.
inline bool make_video(const std::filesystem::path& path, const std::vector<vision::Image>& frames,
                       const MadeVideo& made = {}) {
  using Make = int(const char*, const char*, double, int, int, int, const unsigned char*);
  static void* maker = dlopen(TANDEM_VIDEO_MAKER, RTLD_NOW | RTLD_LOCAL);
  INFO("the maker of videos");
  REQUIRE(maker != nullptr);
  auto* const make = reinterpret_cast<Make*>(dlsym(maker, "tandem_make_video"));
  REQUIRE(make != nullptr);
  std::vector<unsigned char> rgb;
  for (const vision::Image& one : frames) rgb.insert(rgb.end(), one.rgb.begin(), one.rgb.end());
  return make(path.c_str(), made.fourcc.c_str(), made.fps, frames.at(0).width, frames.at(0).height,
              static_cast<int>(frames.size()), rgb.data()) == 1;
}

// Frame `number` of a video whose frames are told apart: a gray that says which, a corner of
// colour that says which way up and which of red and blue.
inline vision::Image numbered_frame(int number, int width = 64, int height = 48) {
  vision::Image image = vision::make_image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool corner = x < width / 2 && y < height / 2;
      std::uint8_t* pixel = image.row(y) + 3 * x;
      const auto gray = static_cast<std::uint8_t>(20 + number * 5 % 220);
      pixel[0] = corner ? 230 : gray;
      pixel[1] = corner ? 120 : gray;
      pixel[2] = corner ? 20 : gray;
    }
  }
  return image;
}

inline std::vector<vision::Image> numbered_frames(int count, int width = 64, int height = 48) {
  std::vector<vision::Image> frames;
  for (int i = 0; i < count; ++i) frames.push_back(numbered_frame(i, width, height));
  return frames;
}

// Of pixels, on average.
inline double mean_difference(const vision::Image& a, const vision::Image& b) {
  REQUIRE(a.width == b.width);
  REQUIRE(a.height == b.height);
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

}  // namespace tandem::test
