#include "tandem/vision/video.h"

#include <stdlib.h>

#include <numeric>
#include <thread>

#include "../support/errors.h"
#include "../support/fifo.h"
#include "../support/temporary.h"
#include "../support/video.h"
#include "vision/video_library.h"

namespace video_test {

using namespace tandem;
using namespace tandem::vision;
using test::contains;
using test::error_of;
using test::numbered_frames;
using testing::bytes_of_file;
using testing::put_file;
using testing::TemporaryDirectory;

namespace {

constexpr double kLossy = 4;  // of 255: what JPEG and MPEG-4 change in such flat pictures

std::vector<std::int64_t> all_of(std::int64_t count) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

void expect_frames(const std::string& path, const std::vector<Image>& written, double fps,
                   const std::vector<std::int64_t>& indices) {
  const std::vector<VideoFrame> read = read_frames(path, indices);
  REQUIRE(read.size() == indices.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    CAPTURE(path, i, indices[i]);
    CHECK(read[i].index == indices[i]);
    CHECK(read[i].seconds == Approx(static_cast<double>(indices[i]) / fps).margin(1e-3));
    CHECK(test::mean_difference(read[i].image, written[static_cast<std::size_t>(indices[i])]) <
          kLossy);
  }
}

std::string data_error_of(const std::string& path) {
  const auto read_all = [&] { read_frames(path, all_of(video_facts(path).frames)); };
  const Error error = error_of(read_all);
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.where(), path));
  return error.message();
}

}  // namespace

TEST_CASE("video: what was written is read, with numbers and times") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::vector<Image> written = numbered_frames(40);
  struct Case {
    const char *name, *fourcc;
    double fps;
  };
  int made = 0;
  for (const Case& c :
       {Case{"a.avi", "MJPG", 10}, Case{"b.avi", "XVID", 25}, Case{"c.mp4", "mp4v", 30000.0 / 1001},
        Case{"d.mp4", "avc1", 24}, Case{"e.mkv", "avc1", 25}, Case{"f.mkv", "MJPG", 12.5}}) {
    const std::string path = dir / c.name;
    if (!test::make_video(path, written, {c.fourcc, c.fps})) continue;
    ++made;
    CAPTURE(path);
    const VideoFacts facts = video_facts(path);
    CHECK(facts.frames == 40);
    CHECK(facts.fps == Approx(c.fps).epsilon(1e-3));
    CHECK(facts.width == 64);
    CHECK(facts.height == 48);
    expect_frames(path, written, c.fps, all_of(40));
    expect_frames(path, written, c.fps, {0, 7, 8, 39});
    expect_frames(path, written, c.fps, {39});
    expect_frames(path, written, c.fps, {5, 5, 6});
  }
  CHECK(made >= 1);
}

TEST_CASE("video: bytes are read like the file") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::string path = dir / "a.avi";
  REQUIRE(test::make_video(path, numbered_frames(12)));
  const std::string bytes = bytes_of_file(path);
  const VideoBytes held({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  CHECK(video_facts(held.path()).frames == 12);
  const auto a = read_frames(path, all_of(12)), b = read_frames(held.path(), all_of(12));
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i].image == b[i].image);
}

TEST_CASE("video: threads read the same file alike") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::string path = dir / "a.avi";
  REQUIRE(test::make_video(path, numbered_frames(16)));
  const auto expected = read_frames(path, all_of(16));
  std::vector<int> same(4, 0);
  std::vector<std::thread> threads;
  for (int& one : same) {
    threads.emplace_back([&] {
      const auto read = read_frames(path, all_of(16));
      for (std::size_t i = 0; i < read.size(); ++i) one += read[i].image == expected[i].image;
    });
  }
  for (std::thread& one : threads) one.join();
  CHECK(same == std::vector<int>(4, 16));
}

TEST_CASE("video: a file cut anywhere is whole or bad data") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::vector<Image> written = numbered_frames(20);
  for (const auto& [name, fourcc] :
       {std::pair("a.avi", "MJPG"), std::pair("b.mp4", "mp4v"), std::pair("c.mp4", "avc1")}) {
    const std::string path = dir / name, cut = dir / (std::string("cut_") + name);
    if (!test::make_video(path, written, {fourcc, 10})) continue;
    const std::string bytes = bytes_of_file(path);
    int bad = 0;
    for (std::size_t part = 0; part < 64; ++part) {
      put_file(cut, bytes.substr(0, bytes.size() * part / 64));
      try {
        const VideoFacts facts = video_facts(cut);
        CAPTURE(name, part, facts.frames);
        CHECK(facts.frames >= 18);  // what lacks is a list of frames at the end
        expect_frames(cut, written, 10, all_of(facts.frames));
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::data);
        ++bad;
      }
    }
    CAPTURE(name);
    CHECK(bad >= 48);
  }
}

TEST_CASE("video: what is no video is bad data, and playlists are none") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::string path = dir / "v.mp4";
  CHECK(contains(data_error_of(path), "got No such file"));
  put_file(path, "");
  CHECK(contains(data_error_of(path), "empty file"));
  put_file(path, "a clip");
  CHECK(contains(data_error_of(path), "got none of them"));
  put_file(path, std::string(10'000, 'x'));
  CHECK(contains(data_error_of(path), "got none of them"));
  put_file(path, std::string("\0\0\0\x18"
                             "ftypisom",
                             12) +
                     std::string(5000, 'y'));
  CHECK(contains(data_error_of(path), "expected a video"));
  REQUIRE(test::make_video(dir / "good.avi", numbered_frames(8)));
  put_file(path, "#EXTM3U\n#EXTINF:1,\n" + (dir / "good.avi").string() + "\n#EXT-X-ENDLIST\n");
  CHECK(contains(data_error_of(path), "got none of them"));
  put_file(path, "ffconcat version 1.0\nfile '" + (dir / "good.avi").string() + "'\n");
  CHECK(contains(data_error_of(path), "got none of them"));
}

TEST_CASE("video: a pipe or a folder is bad data, and is not waited for") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const testing::Fifo pipe(dir / "v.mp4");
  CHECK(contains(data_error_of(dir / "v.mp4"), "expected a regular file"));
  CHECK(contains(data_error_of(dir.path()), "expected a regular file"));
}

TEST_CASE("video: a number of frames that is not so is bad data") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::string path = dir / "a.avi";
  REQUIRE(test::make_video(path, numbered_frames(20)));
  const std::string good = bytes_of_file(path);
  // AVI's stream header: "strh", its size, then 32 bytes in the number of frames.
  const std::size_t at = good.find("strh") + 8 + 32;
  for (const int frames : {4, 100, 2'000'000'000}) {
    CAPTURE(frames);
    std::string lying = good;
    for (int i = 0; i < 4; ++i) {
      lying[at + static_cast<std::size_t>(i)] = static_cast<char>(frames >> (8 * i));
    }
    put_file(path, lying);
    CHECK(contains(data_error_of(path), "as the file says"));
  }
}

TEST_CASE("video: a missing library is told with what to install") {
  const TemporaryDirectory dir;
  const auto refusal = [&](const std::string& path) {
    setenv("TANDEM_VIDEO_LIBRARY", path.c_str(), 1);
    const Error error = error_of([] { load_video_library(); });
    unsetenv("TANDEM_VIDEO_LIBRARY");
    CHECK(error.kind() == ErrorKind::config);
    CHECK(contains(error.hint(), "libopencv-videoio-dev"));
    return error.message();
  };
  CHECK(contains(refusal(dir / "none.so"), "got no file at " + (dir / "none.so").string()));
  put_file(dir / "text.so", "no library");
  CHECK(contains(refusal(dir / "text.so"), "expected a library that loads"));
  if (test::has_videos) {
    CHECK(contains(refusal(TANDEM_VIDEO_MAKER), "expected the function tandem_video_version"));
  }
}

TEST_CASE("video: of a file that was cut without being encoded anew, the frames that it shows") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::string path = dir / "a.mp4";
  const std::vector<Image> written = numbered_frames(24);
  if (!test::make_video(path, written, {"mp4v", 24})) return;
  // MP4's edit list: "elst", four bytes, their number, a duration, the time of the first frame
  // shown. "stts": four bytes, their number, how many frames, how long each.
  std::string bytes = bytes_of_file(path);
  const auto number = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
      value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
  };
  const std::size_t edit = bytes.find("elst") + 16;
  const std::uint32_t start = number(edit) + 5 * number(bytes.find("stts") + 16);
  for (std::size_t i = 0; i < 4; ++i) bytes[edit + i] = static_cast<char>(start >> (24 - 8 * i));
  put_file(path, bytes);
  std::vector<std::int64_t> numbers;
  std::vector<VideoFrame> read;
  const auto choose = [&](const VideoFacts& facts) {
    numbers.push_back(facts.frames);
    read.clear();
    return std::vector<std::int64_t>{0, 7, facts.frames - 1};
  };
  read_chosen(path, choose, [&](VideoFrame frame) { read.push_back(std::move(frame)); });
  CHECK(numbers == std::vector<std::int64_t>{24, 19});
  REQUIRE(read.size() == 3);
  CHECK(test::mean_difference(read[0].image, written[5]) < kLossy);
  CHECK(test::mean_difference(read[1].image, written[12]) < kLossy);
  CHECK(test::mean_difference(read[2].image, written[23]) < kLossy);
  CHECK(read[1].seconds == Approx(7 / 24.0).margin(1e-3));
}

TEST_CASE("video: a frame that does not decode is bad data, those before it or not") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::string path = dir / "a.avi";
  REQUIRE(test::make_video(path, numbered_frames(12)));
  std::string bytes = bytes_of_file(path);
  // The fifth JPEG's header asks for a size that its data cannot fill.
  std::size_t at = 0;
  for (int i = 0; i < 5; ++i) at = bytes.find("\xFF\xC0", at + 1);
  bytes[at + 5] = bytes[at + 7] = 0x10;
  put_file(path, bytes);
  CHECK(video_facts(path).frames == 12);
  CHECK(contains(data_error_of(path), "expected frame 4; got one that does not decode"));
  CHECK_NOTHROW(read_frames(path, all_of(4)));
}

TEST_CASE("video: frames behind the end are bad data") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  const std::string path = dir / "a.avi";
  REQUIRE(test::make_video(path, numbered_frames(6)));
  const std::vector<std::int64_t> behind{2, 6};
  const Error error = error_of([&] { read_frames(path, behind, "row 7"); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(error.where() == "row 7");
  CHECK(contains(error.message(), "expected frame 6; got the end behind 6 frames"));
}

TEST_CASE("video: bytes changed anywhere never break more than the sample") {
  if (test::lacks_videos()) return;
  const TemporaryDirectory dir;
  int usable = 0, bad = 0;
  for (const auto& [name, fourcc] : {std::pair("a.avi", "MJPG"), std::pair("b.mp4", "mp4v")}) {
    const std::string path = dir / name, broken = dir / (std::string("broken_") + name);
    if (!test::make_video(path, numbered_frames(8), {fourcc, 10})) continue;
    const std::string good = bytes_of_file(path);
    for (std::uint64_t round = 0; round < 60; ++round) {
      std::string bytes = good;
      for (std::uint64_t change = 0; change < 1 + round % 8; ++change) {
        const std::uint64_t drawn = (round * 31 + change + 1) * 0x9E3779B97F4A7C15ull;
        bytes[(drawn >> 20) % bytes.size()] = static_cast<char>(drawn >> 8);
      }
      put_file(broken, bytes);
      try {
        const VideoFacts facts = video_facts(broken);
        const auto frames = read_frames(broken, all_of(facts.frames));
        usable += frames.size() == static_cast<std::size_t>(facts.frames);
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::data);
        ++bad;
      }
    }
  }
  CHECK(usable + bad >= 60);
}

}  // namespace video_test
