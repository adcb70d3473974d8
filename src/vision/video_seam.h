#pragma once
// What libtandem_video.so (src/vision/video/, OpenCV and behind it ffmpeg) and the binary that
// loads it agree on. The functions have C linkage, are found by name and throw nothing:
//
//   tandem_video_version  int()  equals kVideoSeamVersion, else the library is refused; the first
//                         call makes OpenCV and ffmpeg silent
//   tandem_video_open     OpenVideo
//   tandem_video_next     NextFrame
//   tandem_video_close    CloseVideo

#include <cstddef>
#include <cstdint>

namespace tandem::vision {

// Raised whenever something here changes its meaning.
inline constexpr int kVideoSeamVersion = 1;

struct OpenedVideo;  // the library's

// What the container says.
struct StatedVideo {
  std::int64_t frames = 0;  // counted there or reckoned from the duration; 0 or less: not known
  double fps = 0;
  int width = 0, height = 0;
};

struct SeenFrame {
  double seconds = 0;  // from the stream's begin
  // Where pixels were asked for: rows of `stride` bytes, blue, green, red; until the next call.
  const std::uint8_t* bgr = nullptr;
  int width = 0, height = 0;
  std::size_t stride = 0;
};

enum class Step : int { frame = 0, end = 1, failed = 2 };

// packets: the container is walked through and nothing decoded. `error`, of `room` bytes, gets a
// text where nullptr is returned.
using OpenVideo = OpenedVideo*(const char* path, bool packets, StatedVideo* stated, char* error,
                               std::size_t room);
// The next frame in the order of showing (of packets: of the file), with its pixels if asked for.
using NextFrame = Step(OpenedVideo* video, bool pixels, SeenFrame* frame, char* error,
                       std::size_t room);
using CloseVideo = void(OpenedVideo* video);

}  // namespace tandem::vision
