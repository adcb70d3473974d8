#pragma once
// libtandem_video.so, loaded when the first video is read.

#include "vision/video_seam.h"

namespace tandem::vision {

struct VideoLibrary {
  OpenVideo* open = nullptr;
  NextFrame* next = nullptr;
  CloseVideo* close = nullptr;
};

// Throws Error(config) where it is not there or does not load; then the next call tries again.
const VideoLibrary& video_library();
VideoLibrary load_video_library();  // the same, not kept

}  // namespace tandem::vision
