// Video files on their way to patches, places and positions.

#include <ATen/ops/equal.h>

#include <catch2/catch.hpp>

#include "../support/errors.h"
#include "../support/temporary.h"
#include "../support/video.h"
#include "models/qwen2_vl/batch.h"
#include "models/qwen2_vl/model.h"
#include "tandem/data/dialogue.h"
#include "tandem/text/kinds.h"
#include "tandem/vision/frames.h"
#include "tandem/vision/video.h"

namespace qwen2_vl_video_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::models::qwen2_vl;

namespace {

std::shared_ptr<const text::Tokenizer> tokenizer() {
  static const auto made = [] {
    const std::vector<std::string> lines{"at which second does the ring stop", "at second four",
                                         "You are a helpful assistant.", "system user assistant"};
    return std::make_shared<const text::Tokenizer>(text::train_tokenizer("qwen", lines, 320));
  }();
  return made;
}

Config config_for(Version version) {
  Config config(version);
  config.vision.patch.patch = 4;
  config.text.context_length = 2000;
  config.dialogue.min_pixels = 64;
  config.dialogue.max_pixels = 64 * 32;
  fit_vocabulary(config, *tokenizer());
  return config;
}

// A dialogue file of one row about "v.avi", whose item also says `wish`.
data::Sample row_about(const testing::TemporaryDirectory& dir, const std::string& wish) {
  testing::put_file(
      dir / "rows.jsonl",
      R"({"messages": [{"role": "user", "content": [{"type": "video", "video": "v.avi")" + wish +
          R"(}, {"type": "text", "text": "at which second does the ring stop"}]},)"
          R"( {"role": "assistant", "content": "at second four"}]})"
          "\n");
  data::DialogueSettings settings;
  settings.path = dir / "rows.jsonl";
  return data::open_dialogue(settings)->read(0);
}

// The same with the file's frames in its place.
data::Sample listed(data::Sample sample) {
  data::Clip& clip = sample.clips.at(0);
  const vision::VideoFacts facts = vision::video_facts(clip.file);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < facts.frames; ++i) all.push_back(i);
  for (vision::VideoFrame& frame : vision::read_frames(clip.file, all)) {
    data::Picture picture;
    picture.pixels = std::move(frame.image);
    clip.frames.push_back(std::move(picture));
  }
  clip.fps = facts.fps;
  clip.file.clear();
  return sample;
}

void expect_equal(const Batch& a, const Batch& b) {
  CHECK(at::equal(a.text->ids, b.text->ids));
  CHECK(at::equal(a.text->labels, b.text->labels));
  CHECK(at::equal(a.text->positions, b.text->positions));
  CHECK(at::equal(a.patches->grid_thw, b.patches->grid_thw));
  CHECK(at::equal(a.patches->patches, b.patches->patches));
}

std::int64_t last_time(const Batch& batch, const Config& config) {
  const at::Tensor places = batch.text->ids[0].eq(config.marks.video).nonzero().squeeze(1);
  const at::Tensor times = batch.text->positions[0][0].index_select(0, places);
  return (times.max() - times.min()).item<std::int64_t>();
}

}  // namespace

TEST_CASE("Qwen2-VL: a row with a video file is the row with the frames in its place") {
  if (test::lacks_videos()) return;
  const testing::TemporaryDirectory dir;
  REQUIRE(test::make_video(dir / "v.avi", test::numbered_frames(60), {"MJPG", 10}));
  for (const Version version : {Version::two, Version::two_five}) {
    const Config config = config_for(version);
    const Processor processor = make_processor(config, tokenizer());
    for (const char* wish :
         {"", R"(, "fps": 4)", R"(, "nframes": 6)", R"(, "max_frames": 8, "max_pixels": 512)",
          R"(, "video_start": 2, "video_end": 4.05)",
          R"(, "resized_height": 16, "resized_width": 24)"}) {
      CAPTURE(wish);
      const data::Sample sample = row_about(dir, wish);
      const Batch batch = processor.prepare(sample, Key(1), true);
      expect_equal(batch, processor.prepare(listed(sample), Key(1), true));
      expect_equal(batch, processor.prepare(sample, Key(1), true));  // read again
      CHECK(processor.length(sample) == batch.text->ids.size(1));
    }
  }
}

TEST_CASE("Qwen2.5-VL: the places of a video's frames are its seconds, whatever its rate") {
  if (test::lacks_videos()) return;
  const testing::TemporaryDirectory dir;
  const Config config = config_for(Version::two_five);
  const Processor processor = make_processor(config, tokenizer());
  for (const double fps : {5.0, 10.0, 25.0}) {
    CAPTURE(fps);
    const int frames = static_cast<int>(6 * fps);
    REQUIRE(test::make_video(dir / "v.avi", test::numbered_frames(frames), {"MJPG", fps}));
    // 6 s, two frames a second, in pairs: 6 slices, one second and two positions from each to the
    // next.
    const Batch two = processor.prepare(row_about(dir, ""), Key(1), true);
    CHECK(two.patches->grid_thw[0][0].item<std::int64_t>() == 6);
    CHECK(last_time(two, config) == 10);
    // One frame a second: 3 slices, 4 positions apart.
    const Batch one = processor.prepare(row_about(dir, R"(, "fps": 1)"), Key(1), true);
    CHECK(one.patches->grid_thw[0][0].item<std::int64_t>() == 3);
    CHECK(last_time(one, config) == 8);
  }
}

TEST_CASE("Qwen2-VL: a broken video is a bad sample") {
  if (test::lacks_videos()) return;
  const testing::TemporaryDirectory dir;
  const Processor processor = make_processor(config_for(Version::two), tokenizer());
  const auto refusal = [&] {
    const data::Sample sample = row_about(dir, "");
    const Error error = test::error_of([&] { processor.prepare(sample, Key(1), true); });
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.where() == sample.id);
    CHECK(test::error_of([&] { processor.length(sample); }).kind() == ErrorKind::data);
    return error.message();
  };
  testing::put_file(dir / "v.avi", "no video");
  CHECK_THAT(refusal(), Catch::Contains("got none of them"));
  REQUIRE(test::make_video(dir / "v.avi", test::numbered_frames(30)));
  const std::string bytes = testing::bytes_of_file(dir / "v.avi");
  testing::put_file(dir / "v.avi", bytes.substr(0, bytes.size() / 2));
  CHECK_THAT(refusal(), Catch::Contains("as the file says"));
  REQUIRE(test::make_video(dir / "v.avi", test::numbered_frames(1)));
  CHECK_THAT(refusal(), Catch::Contains("frames of the video"));
}

}  // namespace qwen2_vl_video_test
