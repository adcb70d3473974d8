#include "tandem/vision/frames.h"

#include <algorithm>
#include <cmath>

#include "tandem/base/error.h"

namespace tandem::vision {
namespace {

constexpr std::int64_t factor = 2;  // frames come in pairs

std::int64_t rounded(double number) {
  return static_cast<std::int64_t>(std::nearbyint(number / factor)) * factor;
}
std::int64_t floored(double number) {
  return static_cast<std::int64_t>(std::floor(number / factor)) * factor;
}
std::int64_t ceiled(double number) {
  return static_cast<std::int64_t>(std::ceil(number / factor)) * factor;
}

[[noreturn]] void refuse(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, "[vision] " + what, where);
}

struct Span {
  std::int64_t first = 0, last = 0;
  std::int64_t frames() const { return last - first + 1; }
};

Span span_of(std::int64_t total, double fps, const FrameRule& rule, const std::string& where) {
  Span span{0, total - 1};
  if (rule.start < 0 && rule.end < 0) return span;
  const double seconds = static_cast<double>(total) / fps;
  if (rule.start >= 0) {
    span.first = static_cast<std::int64_t>(std::ceil(std::min(rule.start, seconds) * fps));
  }
  if (rule.end >= 0) {
    const double end = std::floor(std::min(rule.end, seconds) * fps);
    span.last = std::min(static_cast<std::int64_t>(end), total - 1);
  }
  if (span.first >= span.last) refuse("expected a video's start before its end", where);
  return span;
}

std::int64_t count_of(std::int64_t total, double fps, const FrameRule& rule) {
  if (rule.frames > 0) return rounded(static_cast<double>(rule.frames));
  const auto all = static_cast<double>(total);
  double count = all / fps * rule.fps;
  count = std::max(count, static_cast<double>(ceiled(static_cast<double>(rule.least))));
  count = std::min(count, static_cast<double>(floored(static_cast<double>(rule.most))));
  return floored(std::min(count, all));
}

}  // namespace

FrameChoice choose_frames(std::int64_t total, double fps, const FrameRule& rule,
                          const std::string& where) {
  if (total < 1 || !(fps > 0)) refuse("expected a video with frames and a rate", where);
  const Span span = span_of(total, fps, rule, where);
  const std::int64_t count = count_of(span.frames(), fps, rule);
  if (count < factor || count > span.frames()) {
    refuse("expected 2 to " + std::to_string(span.frames()) + " frames of the video; got " +
               std::to_string(count),
           where);
  }
  FrameChoice choice;
  // In single precision from both ends, as torch.linspace counts.
  const auto first = static_cast<float>(span.first), last = static_cast<float>(span.last);
  const float step = (last - first) / static_cast<float>(count - 1);
  for (std::int64_t i = 0; i < count; ++i) {
    const float at = i < count / 2 ? first + step * static_cast<float>(i)
                                   : last - step * static_cast<float>(count - 1 - i);
    choice.indices.push_back(static_cast<std::int64_t>(std::nearbyint(at)));
  }
  choice.fps = static_cast<double>(count) / static_cast<double>(span.frames()) * fps;
  return choice;
}

PixelLimits frame_limits(std::int64_t frames, const PatchShape& shape, std::int64_t tokens) {
  const auto cell = static_cast<double>(shape.factor() * shape.factor());
  const double least = 128 * cell;
  const double shared = static_cast<double>(tokens) * cell * 0.9;
  const double most = std::min(768 * cell, shared / static_cast<double>(frames) * factor);
  return {least, std::max(most, std::floor(least * 1.05))};
}

}  // namespace tandem::vision
