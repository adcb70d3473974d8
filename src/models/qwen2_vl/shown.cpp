#include "models/qwen2_vl/shown.h"

#include <algorithm>

#include "models/processing.h"
#include "tandem/base/error.h"
#include "tandem/data/check.h"
#include "tandem/vision/frames.h"
#include "tandem/vision/resize.h"
#include "tandem/vision/video.h"

namespace tandem::models::qwen2_vl {
namespace {

using text::VisionWish;
using vision::Extent;
using vision::Image;

vision::PixelLimits limited(vision::PixelLimits limits, const VisionWish& wish) {
  if (wish.min_pixels > 0) limits.least = static_cast<double>(wish.min_pixels);
  if (wish.max_pixels > 0) limits.most = static_cast<double>(wish.max_pixels);
  limits.most = std::max(limits.most, limits.least);
  return limits;
}

Extent extent_of(const Image& pixels) { return {pixels.height, pixels.width}; }

Extent extent_of(const data::Picture& picture, const std::string& where) {
  const data::PictureFacts facts = data::facts_of(picture, where);
  return {facts.height, facts.width};
}

Image resized(const Image& frame, const Extent& size, const Config& config) {
  return vision::resize(frame, static_cast<int>(size.width), static_cast<int>(size.height),
                        vision::filter_of(config.image));
}

Grid grid_of(const Extent& size, std::size_t frames, const Config& config) {
  return vision::grid_of(size, static_cast<std::int64_t>(frames), config.vision.patch);
}

vision::FrameRule frame_rule(const VisionWish& wish, vision::FrameRule rule) {
  if (wish.fps > 0) rule.fps = wish.fps;
  if (wish.frames > 0) rule.frames = wish.frames;
  if (wish.min_frames > 0) rule.least = wish.min_frames;
  if (wish.max_frames > 0) rule.most = wish.max_frames;
  if (wish.start > 0) rule.start = wish.start;
  if (wish.end > 0) rule.end = wish.end;
  return rule;
}

// Frames a second of a clip's frames; 0: not known.
double rate_of(const data::Clip& clip) {
  if (clip.fps > 0 || clip.seconds.size() < 2) return clip.fps;
  const double length = clip.seconds.back() - clip.seconds.front();
  return length > 0 ? static_cast<double>(clip.seconds.size() - 1) / length : 0;
}

// Of a clip whose rate is known, the frames that the rule chooses; of another one all, as two a
// second, the last one twice where their number is odd.
vision::FrameChoice frames_of(const data::Clip& clip, const vision::FrameRule& rule,
                              const std::string& where) {
  const auto total = static_cast<std::int64_t>(clip.frames.size());
  const double rate = rate_of(clip);
  if (rate > 0) return vision::choose_frames(total, rate, rule, where);
  vision::FrameChoice all;
  all.fps = 2;
  for (std::int64_t i = 0; i < total; ++i) all.indices.push_back(i);
  if (total % 2 == 1) all.indices.push_back(total - 1);
  return all;
}

// The size of all frames of a clip, of which so many are seen and the first one is stored so.
Extent clip_size(const Extent& stored, std::size_t frames, const VisionWish& wish,
                 const Config& config, const std::string& where) {
  vision::PixelLimits limits = vision::frame_limits(
      static_cast<std::int64_t>(frames), config.vision.patch, config.text.context_length);
  // Of frames the config's own limits are the outer ones: a small model sees small clips.
  limits.most = std::min(limits.most, config.dialogue.max_pixels);
  limits.least = std::min(limits.least, limits.most);
  return size_of(stored, wish, limits, config, where);
}

void expect_content(const data::Clip& clip, const std::string& where) {
  if (!clip.frames.empty() || !clip.file.empty()) return;
  throw Error(ErrorKind::data, "[qwen2_vl] expected a clip's file or its frames; got neither",
              where);
}

// What a clip is by its headers.
struct Stored {
  vision::FrameChoice choice;
  Extent size;
};

Stored stored_of(const data::Clip& clip, const VisionWish& wish, const Config& config,
                 const std::string& where) {
  const vision::FrameRule rule = frame_rule(wish, config.dialogue.frames);
  if (!clip.frames.empty()) {
    const vision::FrameChoice choice = frames_of(clip, rule, where);
    const auto first = static_cast<std::size_t>(choice.indices[0]);
    return {choice, extent_of(clip.frames[first], where)};
  }
  expect_content(clip, where);
  const vision::VideoFacts facts = vision::video_facts(clip.file, where);
  return {vision::choose_frames(facts.frames, facts.fps, rule, where), {facts.height, facts.width}};
}

}  // namespace

Extent size_of(const Extent& frame, const VisionWish& wish, const vision::PixelLimits& limits,
               const Config& config, const std::string& where) {
  const auto rule = config.dialogue.resize == "qwen" ? vision::ResizeRule::qwen
                                                     : vision::ResizeRule::transformers;
  const std::int64_t factor = config.vision.patch.factor();
  if (wish.height > 0 && wish.width > 0) {
    const auto cell = static_cast<double>(factor * factor);
    return vision::smart_resize({wish.height, wish.width}, factor, {4 * cell, 16384 * cell}, rule,
                                where);
  }
  return vision::smart_resize(frame, factor, limited(limits, wish), rule, where);
}

vision::PixelLimits picture_limits(const Config& config) {
  return {config.dialogue.min_pixels, config.dialogue.max_pixels};
}

Grid picture_grid(const data::Picture& picture, const VisionWish& wish, const Config& config,
                  const std::string& where) {
  return grid_of(size_of(extent_of(picture, where), wish, picture_limits(config), config, where), 1,
                 config);
}

Grid clip_grid(const data::Clip& clip, const VisionWish& wish, const Config& config,
               const std::string& where) {
  const Stored stored = stored_of(clip, wish, config, where);
  const std::size_t frames = stored.choice.indices.size();
  return grid_of(clip_size(stored.size, frames, wish, config, where), frames, config);
}

Shown shown_picture(const Image& pixels, const VisionWish& wish, const Config& config,
                    const std::string& where) {
  const Extent size = size_of(extent_of(pixels), wish, picture_limits(config), config, where);
  return {{resized(pixels, size, config)}, grid_of(size, 1, config)};
}

Shown shown_clip(const data::Clip& clip, const VisionWish& wish, const Config& config,
                 const std::string& where) {
  expect_content(clip, where);
  const vision::FrameRule rule = frame_rule(wish, config.dialogue.frames);
  Shown shown;
  shown.clip = true;
  Extent size;
  std::size_t count = 0;  // of frames that will be seen
  const auto begin = [&](vision::FrameChoice choice) {
    shown.frames.clear();
    shown.seconds = choice.seconds_per_grid(config.vision.patch.frames);
    count = choice.indices.size();
    return std::move(choice.indices);
  };
  // Each is resized as it comes: of a long video only what is seen is kept. The first one's own
  // size counts, as a picture may say that it lies on its side.
  const auto see = [&](const Image& frame) {
    if (shown.frames.empty()) size = clip_size(extent_of(frame), count, wish, config, where);
    shown.frames.push_back(resized(frame, size, config));
  };
  if (clip.frames.empty()) {
    const auto choose = [&](const vision::VideoFacts& facts) {
      return begin(vision::choose_frames(facts.frames, facts.fps, rule, where));
    };
    const auto each = [&](const vision::VideoFrame& frame) { see(frame.image); };
    vision::read_chosen(clip.file, choose, each, where);
  } else {
    for (const std::int64_t frame : begin(frames_of(clip, rule, where))) {
      see(pixels_of(clip.frames[static_cast<std::size_t>(frame)], where, config.image));
    }
  }
  shown.grid = grid_of(size, shown.frames.size(), config);
  return shown;
}

}  // namespace tandem::models::qwen2_vl
