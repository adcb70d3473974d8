#pragma once
// Video files to frames: exact numbers, exact times, decoded one after the other from the start, so
// that frame i is the i-th one of the file whatever its index of key frames says. AVI, MP4 and MOV,
// Matroska and WebM, MPEG, FLV, Ogg and GIF, told by their first bytes; what refers to other files
// or to the web (playlists) is refused.
//
// The decoder is OpenCV's (ffmpeg) in libtandem_video.so, which the first video loads: nothing else
// of the binary knows of it. TANDEM_VIDEO_LIBRARY names it elsewhere. Where it is missing, or
// OpenCV's packages are, everything here throws Error(config) with what to install.
//
// A file that is empty, no video, without frames or a rate, that holds other than the stated number
// of frames (AVI, MP4; of Matroska and FLV less than half: they state a duration alone), or whose
// frames do not decode throws Error(data) with `where`. A flipped bit that still decodes cannot be
// seen. At a time one frame is in memory.
// Safe to call from several threads.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tandem/vision/image.h"

namespace tandem::vision {

struct VideoFacts {
  std::int64_t frames = 0;  // that are stored: counted, not as the header says
  double fps = 0;           // on average
  int width = 0, height = 0;
};

struct VideoFrame {
  std::int64_t index = 0;
  // From the first frame on, as the file says where the rate is constant; of varying rates with
  // frames that are stored in another order, when it is to be decoded.
  double seconds = 0;
  Image image{};
};

// Walks through the file and decodes nothing. `where` (a sample's id) is put into errors; empty:
// the path.
VideoFacts video_facts(const std::string& path, const std::string& where = {});

// The frames of these indices, which do not fall, each as soon as it is decoded.
void read_frames(const std::string& path, std::span<const std::int64_t> indices,
                 const std::function<void(VideoFrame)>& each, const std::string& where = {});
std::vector<VideoFrame> read_frames(const std::string& path, std::span<const std::int64_t> indices,
                                    const std::string& where = {});

// The frames that `choose` names. A file that was cut without being encoded anew stores frames that
// are not shown: where fewer are shown than stored, though not less than half, `choose` is called
// again with their number, and what `each` got before does not count.
using ChooseFrames = std::function<std::vector<std::int64_t>(const VideoFacts&)>;
void read_chosen(const std::string& path, const ChooseFrames& choose,
                 const std::function<void(VideoFrame)>& each, const std::string& where = {});

// Bytes as a file in memory for the functions above, while it lives. Throws Error(io).
class VideoBytes {
 public:
  explicit VideoBytes(std::span<const std::uint8_t> bytes);
  ~VideoBytes();
  VideoBytes(const VideoBytes&) = delete;
  VideoBytes& operator=(const VideoBytes&) = delete;
  const std::string& path() const { return path_; }

 private:
  int file_ = -1;
  std::string path_{};
};

}  // namespace tandem::vision
