#include "tandem/data/picture_files.h"

#include <utility>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/vision/decode.h"
#include "tandem/vision/encode.h"

namespace tandem::data {
namespace {

const char* ending_of(const Picture& picture) {
  switch (vision::sniff(picture.encoded)) {
    case vision::Encoding::jpeg:
      return ".jpg";
    case vision::Encoding::webp:
      return ".webp";
    default:
      return ".png";
  }
}

std::string bytes_of_picture(const Picture& picture) {
  if (picture.encoded.empty()) return vision::encode_png(picture.pixels);
  return {picture.encoded.begin(), picture.encoded.end()};
}

std::optional<StoredSize> size_in_header(const Sample& sample) {
  if (sample.pictures.empty()) return {};
  const Picture& picture = sample.pictures[0];
  if (picture.encoded.empty()) {
    return StoredSize{static_cast<double>(picture.pixels.width),
                      static_cast<double>(picture.pixels.height)};
  }
  const vision::PictureSize size = vision::picture_size(picture.encoded, sample.id);
  return StoredSize{static_cast<double>(size.width), static_cast<double>(size.height)};
}

}  // namespace

std::optional<StoredSize> stored_size(const Source& source, std::int64_t index,
                                      const Sample& peeked) {
  try {
    if (const auto size = size_in_header(peeked)) return size;
  } catch (const Error& error) {  // a header may be longer than what was peeked at
    if (error.kind() != ErrorKind::data) throw;
  }
  return size_in_header(source.read(index));
}

PictureFiles::PictureFiles(std::filesystem::path folder, bool copy)
    : folder_(std::move(folder)), copy_(copy) {}

std::string PictureFiles::name_of(const Source& source, std::int64_t index, const Sample& peeked,
                                  const std::string& stem) {
  if (peeked.pictures.empty() && !source.is_drawn()) return {};
  const Picture shown = peeked.pictures.empty() ? Picture{} : peeked.pictures[0];
  const bool named = !copy_ && !shown.name.empty();
  (named ? named_ : written_) = true;
  if (named_ && written_) {
    throw Error(ErrorKind::config,
                "[data] expected pictures that are all files of one folder, or none; got both",
                peeked.id, "give --copy, or work on one source at a time");
  }
  if (named) return shown.name;
  const std::string name = stem + ending_of(shown);
  const std::filesystem::path path = folder_ / name;
  std::error_code none;
  if (std::filesystem::exists(path, none)) return name;
  const Sample sample = source.read(index);
  if (sample.pictures.empty()) return {};
  make_directories(path.parent_path());
  replace_file(path, bytes_of_picture(sample.pictures[0]));
  return name;
}

}  // namespace tandem::data
