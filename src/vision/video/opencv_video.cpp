// libtandem_video.so: files as frames by OpenCV's reader, which is ffmpeg's. See video_seam.h.
#include <dlfcn.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <exception>
#include <memory>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/videoio.hpp>

#include "vision/video_seam.h"

using namespace tandem::vision;

namespace tandem::vision {

struct OpenedVideo {
  cv::VideoCapture capture;
  bool packets = false;
  double fps = 0;
  double seconds = -1;  // of the last frame; before the first one: -1
  cv::Mat pixels;       // of the last frame
};

}  // namespace tandem::vision

namespace {

void say_nothing(void*, int, const char*, va_list) {}

// OpenCV sets ffmpeg's level anew with each file that it opens, but not where its lines go. ffmpeg
// is behind OpenCV: its function is looked for among what this library brought along.
void be_silent() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  Dl_info own;
  if (dladdr(reinterpret_cast<const void*>(&be_silent), &own) == 0) return;
  void* library = dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return;
  if (void* found = dlsym(library, "av_log_set_callback"); found != nullptr) {
    reinterpret_cast<void (*)(decltype(&say_nothing))>(found)(&say_nothing);
  }
  dlclose(library);
}

// OpenCV tells the packet's time of decoding: of the first frame that may lie before its own, and
// the last ones, which the decoder held back, have none.
double next_time(const OpenedVideo& video) {
  if (video.seconds < 0) return 0;
  const double told = video.capture.get(cv::CAP_PROP_POS_MSEC) / 1000;
  return told > video.seconds || !(video.fps > 0) ? told : video.seconds + 1 / video.fps;
}

void tell(char* error, std::size_t room, const char* text) {
  if (error != nullptr && room > 0) std::snprintf(error, room, "%s", text);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int tandem_video_version() {
  static const bool silent = (be_silent(), true);
  return silent ? kVideoSeamVersion : 0;
}

__attribute__((visibility("default"))) OpenedVideo* tandem_video_open(
    const char* path, bool packets, StatedVideo* stated, char* error, std::size_t room) {
  try {
    auto video = std::make_unique<OpenedVideo>();
    video->packets = packets;
    std::vector<int> wishes{cv::CAP_PROP_HW_ACCELERATION, cv::VIDEO_ACCELERATION_NONE};
    if (packets) wishes.insert(wishes.end(), {cv::CAP_PROP_FORMAT, -1});
    if (!video->capture.open(path, cv::CAP_FFMPEG, wishes)) {
      tell(error, room, "ffmpeg finds no video stream that it can decode");
      return nullptr;
    }
    const auto asked = [&](int property) { return video->capture.get(property); };
    // What is not known comes as a number out of range.
    stated->frames =
        static_cast<std::int64_t>(std::clamp(asked(cv::CAP_PROP_FRAME_COUNT), -1.0, 1e15));
    stated->fps = asked(cv::CAP_PROP_FPS);
    video->fps = stated->fps;
    stated->width = static_cast<int>(asked(cv::CAP_PROP_FRAME_WIDTH));
    stated->height = static_cast<int>(asked(cv::CAP_PROP_FRAME_HEIGHT));
    return video.release();
  } catch (const std::exception& thrown) {
    tell(error, room, thrown.what());
    return nullptr;
  }
}

__attribute__((visibility("default"))) Step tandem_video_next(OpenedVideo* video, bool pixels,
                                                              SeenFrame* frame, char* error,
                                                              std::size_t room) {
  try {
    if (!video->capture.grab()) return Step::end;
    *frame = {};
    frame->seconds = video->seconds = next_time(*video);
    if (!pixels) return Step::frame;
    if (!video->capture.retrieve(video->pixels) || video->pixels.type() != CV_8UC3) {
      tell(error, room, "a frame without colours");
      return Step::failed;
    }
    frame->bgr = video->pixels.data;
    frame->width = video->pixels.cols;
    frame->height = video->pixels.rows;
    frame->stride = video->pixels.step[0];
    return Step::frame;
  } catch (const std::exception& thrown) {
    tell(error, room, thrown.what());
    return Step::failed;
  }
}

__attribute__((visibility("default"))) void tandem_video_close(OpenedVideo* video) { delete video; }

}  // extern "C"
