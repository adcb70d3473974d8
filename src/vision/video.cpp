#include "tandem/vision/video.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "tandem/base/error.h"
#include "tandem/vision/decode.h"
#include "vision/codecs.h"
#include "vision/video_library.h"

namespace tandem::vision {
namespace {

constexpr double kMostFps = 1000;
constexpr std::int64_t kMostPixels = 64'000'000;  // of a frame; 8k has 35 million
constexpr std::size_t kHead = 189;                // a transport stream's second packet begins there

[[noreturn]] void refuse(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, "[video] " + what, where);
}

// What a container says of the number of its frames.
enum class Count {
  none,      // no container of ours
  reckoned,  // nothing: it is reckoned from the file's own end
  duration,  // a duration, which a file that was cut does not reach
  listed,    // a table, from which an edit may leave out some at the ends
  exact,
};

Count count_of(std::string_view head) {
  using std::string_view_literals::operator""sv;
  const auto has = [&](std::size_t at, std::string_view mark) {
    return head.size() >= at + mark.size() && head.substr(at, mark.size()) == mark;
  };
  if (has(0, "RIFF") && has(8, "AVI ")) return Count::exact;
  for (const std::string_view box : {"ftyp", "moov", "mdat", "wide", "free", "skip"}) {
    if (has(4, box)) return Count::listed;  // MP4, MOV
  }
  if (has(0, "\x1A\x45\xDF\xA3"sv) || has(0, "FLV")) return Count::duration;
  if (has(0, "\x47") && has(188, "\x47")) return Count::reckoned;  // MPEG's transport stream
  for (const std::string_view mark : {"\0\0\1\xBA"sv, "\0\0\1\xB3"sv, "OggS"sv, "GIF8"sv}) {
    if (has(0, mark)) return Count::reckoned;
  }
  return Count::none;
}

// The first bytes of a regular file, as far as it has them. ffmpeg opens it anew, by its name.
std::size_t read_head(const std::string& path, std::span<char> head, const std::string& where) {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    refuse("expected a file that opens; got " + std::string(std::strerror(errno)), where);
  struct stat facts {};
  const bool regular = ::fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
  std::size_t count = 0;
  while (regular && count < head.size()) {
    const ssize_t more = ::read(file, head.data() + count, head.size() - count);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) break;
    count += static_cast<std::size_t>(more);
  }
  ::close(file);
  if (!regular) refuse("expected a regular file; got a folder, a pipe or a device", where);
  return count;
}

// ffmpeg would also open lists that name other files and addresses.
Count expect_container(const std::string& path, const std::string& where) {
  std::array<char, kHead> head{};
  const std::size_t got = read_head(path, head, where);
  if (got == 0) refuse("expected a video; got an empty file", where);
  const Count count = count_of({head.data(), got});
  if (count == Count::none) {
    refuse("expected AVI, MP4, MOV, Matroska, WebM, MPEG, FLV, Ogg or GIF; got none of them",
           where);
  }
  return count;
}

bool is_so_many(Count count, std::int64_t stated, std::int64_t counted) {
  if (stated <= 0) return true;  // as an AVI whose writer was interrupted
  switch (count) {
    case Count::exact:
      return counted == stated;
    case Count::listed:
      return counted <= stated && counted + std::max<std::int64_t>(2, stated / 50) >= stated;
    case Count::duration:
      return 2 * counted >= stated;  // rates vary
    default:
      return true;
  }
}

class Reader {
 public:
  Reader(const std::string& path, bool packets, const std::string& where)
      : library_(video_library()), where_(where), video_(nullptr, {library_.close}) {
    count = expect_container(path, where);
    video_.reset(library_.open(path.c_str(), packets, &stated, error_, sizeof error_));
    if (video_ == nullptr) refuse(std::string("expected a video; got: ") + error_, where);
    if (!std::isfinite(stated.fps) || stated.fps <= 0 || stated.fps > kMostFps) {
      refuse("expected above 0 to 1000 frames a second; got " + std::to_string(stated.fps), where);
    }
    check_limits(stated.width, stated.height, where, {.max_pixels = kMostPixels});
  }

  // false: the end.
  bool next(bool pixels) {
    const Step step = library_.next(video_.get(), pixels, &frame, error_, sizeof error_);
    if (step == Step::failed) refuse(std::string("expected a frame; got: ") + error_, where_);
    return step == Step::frame;
  }

  Count count = Count::none;
  StatedVideo stated{};
  SeenFrame frame{};

 private:
  struct Closer {
    CloseVideo* close;
    void operator()(OpenedVideo* video) const { close(video); }
  };

  const VideoLibrary& library_;
  std::string where_;
  char error_[256] = "";
  std::unique_ptr<OpenedVideo, Closer> video_;
};

Image image_of(const SeenFrame& frame, const std::string& where) {
  check_limits(frame.width, frame.height, where, {.max_pixels = kMostPixels});
  Image image = make_image(frame.width, frame.height);
  for (int y = 0; y < frame.height; ++y) {
    const std::uint8_t* from = frame.bgr + static_cast<std::size_t>(y) * frame.stride;
    std::uint8_t* to = image.row(y);
    for (int x = 0; x < frame.width; ++x, from += 3, to += 3) {
      to[0] = from[2];
      to[1] = from[1];
      to[2] = from[0];
    }
  }
  return image;
}

const std::string& named(const std::string& where, const std::string& path) {
  return where.empty() ? path : where;
}

// The frames of these indices; where the file ends before the last one, how many there are.
std::optional<std::int64_t> read_until_end(const std::string& path,
                                           std::span<const std::int64_t> indices,
                                           const std::function<void(VideoFrame)>& each,
                                           const std::string& where) {
  TANDEM_CHECK(
      std::is_sorted(indices.begin(), indices.end()) && (indices.empty() || indices.front() >= 0),
      "[video] indices from 0 that do not fall");
  Reader reader(path, /*packets=*/false, named(where, path));
  std::int64_t at = -1;  // the frame that the reader stands at
  for (std::size_t i = 0; i < indices.size();) {
    const std::int64_t wanted = indices[i];
    for (; at < wanted; ++at) {
      if (reader.next(/*pixels=*/at + 1 == wanted)) continue;
      // Behind the end there is nothing, behind a frame that does not decode the next one.
      if (reader.next(/*pixels=*/false)) {
        refuse("expected frame " + std::to_string(at + 1) + "; got one that does not decode",
               named(where, path));
      }
      return at + 1;
    }
    VideoFrame frame{wanted, reader.frame.seconds, image_of(reader.frame, named(where, path))};
    for (++i; i < indices.size() && indices[i] == wanted; ++i) each(frame);
    each(std::move(frame));
  }
  return {};
}

}  // namespace

VideoFacts video_facts(const std::string& path, const std::string& where) {
  Reader reader(path, /*packets=*/true, named(where, path));
  VideoFacts facts{0, reader.stated.fps, reader.stated.width, reader.stated.height};
  while (reader.next(/*pixels=*/false)) ++facts.frames;
  if (facts.frames == 0) refuse("expected frames; got a video without any", named(where, path));
  if (!is_so_many(reader.count, reader.stated.frames, facts.frames)) {
    refuse("expected " + std::to_string(reader.stated.frames) + " frames, as the file says; got " +
               std::to_string(facts.frames) + ": truncated or broken",
           named(where, path));
  }
  return facts;
}

void read_frames(const std::string& path, std::span<const std::int64_t> indices,
                 const std::function<void(VideoFrame)>& each, const std::string& where) {
  if (const auto shown = read_until_end(path, indices, each, where)) {
    refuse("expected frame " + std::to_string(indices.back()) + "; got the end behind " +
               std::to_string(*shown) + " frames",
           named(where, path));
  }
}

void read_chosen(const std::string& path, const ChooseFrames& choose,
                 const std::function<void(VideoFrame)>& each, const std::string& where) {
  VideoFacts facts = video_facts(path, where);
  const auto shown = read_until_end(path, choose(facts), each, where);
  if (!shown) return;
  if (2 * *shown < facts.frames) {
    refuse("expected to see " + std::to_string(facts.frames) + " frames; got " +
               std::to_string(*shown),
           named(where, path));
  }
  facts.frames = *shown;
  read_frames(path, choose(facts), each, where);
}

std::vector<VideoFrame> read_frames(const std::string& path, std::span<const std::int64_t> indices,
                                    const std::string& where) {
  std::vector<VideoFrame> frames;
  frames.reserve(indices.size());
  read_frames(
      path, indices, [&](VideoFrame frame) { frames.push_back(std::move(frame)); }, where);
  return frames;
}

VideoBytes::VideoBytes(std::span<const std::uint8_t> bytes) {
  file_ = memfd_create("tandem-video", MFD_CLOEXEC);
  std::size_t written = 0;
  while (file_ >= 0 && written < bytes.size()) {
    const ssize_t more = ::write(file_, bytes.data() + written, bytes.size() - written);
    if (more <= 0) break;
    written += static_cast<std::size_t>(more);
  }
  if (file_ < 0 || written < bytes.size()) {
    const std::string why = std::strerror(errno);
    if (file_ >= 0) ::close(file_);
    throw Error(ErrorKind::io, "[video] no file in memory: " + why);
  }
  path_ = "/proc/self/fd/" + std::to_string(file_);
}

VideoBytes::~VideoBytes() { ::close(file_); }

}  // namespace tandem::vision
