#include "tandem/data/check.h"

#include "tandem/base/error.h"
#include "tandem/vision/decode.h"
#include "tandem/vision/video.h"

namespace tandem::data {
namespace {

void check_pictures(const Sample& sample) {
  for (const Picture& picture : sample.pictures) facts_of(picture, sample.id);
  for (const Clip& clip : sample.clips) {
    for (const Picture& frame : clip.frames) facts_of(frame, sample.id);
    if (!clip.file.empty()) vision::video_facts(clip.file, sample.id);
  }
}

// A header may be longer than what peek() gives.
Sample checked_sample(const Source& source, std::int64_t index) {
  Sample sample = source.peek(index);
  try {
    check_pictures(sample);
    return sample;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  sample = source.read(index);
  check_pictures(sample);
  return sample;
}

}  // namespace

PictureFacts facts_of(const Picture& picture, const std::string& where) {
  if (picture.encoded.empty()) {
    if (picture.pixels.empty()) {
      throw Error(ErrorKind::data, "[data] expected a picture; got an empty one", where);
    }
    return {picture.pixels.width, picture.pixels.height, "pixels"};
  }
  const vision::PictureSize size = vision::picture_size(picture.encoded, where);
  switch (vision::sniff(picture.encoded)) {
    case vision::Encoding::jpeg:
      return {size.width, size.height, "jpeg"};
    case vision::Encoding::png:
      return {size.width, size.height, "png"};
    case vision::Encoding::webp:
      return {size.width, size.height, "webp"};
    case vision::Encoding::unknown:
      break;
  }
  return {size.width, size.height, "unknown"};
}

std::string check_line(const std::string& name, const Source& source, const CheckReport& report) {
  std::string text = "source " + name + ": " + std::to_string(report.samples) + " samples";
  if (source.is_drawn()) return text + ", drawn: nothing to check\n";
  text += ", " + std::to_string(report.pictures) + " pictures, " + std::to_string(report.texts) +
          " captions";
  if (report.bad == 0) {
    text += ": all good";
  } else {
    text += "; " + std::to_string(report.bad) + " samples cannot be used";
    text += report.too_many() ? ": more than 1 %, training would stop" : "";
  }
  if (report.left_out > 0) text += "; " + std::to_string(report.left_out) + " left out";
  return text + "\n";
}

CheckReport check_source(const Source& source, const std::function<void(const Finding&)>& found,
                         const std::function<void(const Sample&)>& use) {
  CheckReport report;
  report.samples = source.size();
  for (const Finding& one : source.left_out()) {
    ++report.left_out;
    found({one.where, one.what + " (left out)"});
  }
  if (source.is_drawn()) return report;
  for (std::int64_t i = 0; i < report.samples; ++i) {
    try {
      const Sample sample = checked_sample(source, i);
      if (use) use(sample);
      report.pictures += static_cast<std::int64_t>(sample.pictures.size());
      report.texts += static_cast<std::int64_t>(texts_of(sample).size());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      ++report.bad;
      found({error.where(), error.message()});
    }
  }
  return report;
}

}  // namespace tandem::data
