#include "tandem/eval/thumbnail.h"

#include "tandem/base/error.h"
#include "tandem/vision/decode.h"
#include "tandem/vision/encode.h"

namespace tandem::eval {

std::string thumbnail_png(const data::Source& source, std::int64_t index, int side) {
  const data::Sample sample = source.read(index);
  if (sample.pictures.empty()) {
    throw Error(ErrorKind::data, "[thumbnail] expected a picture; got none", sample.id);
  }
  const data::Picture& picture = sample.pictures[0];
  return vision::encode_png(vision::thumbnail(
      picture.encoded.empty() ? picture.pixels : vision::decode_upright(picture.encoded, sample.id),
      side));
}

}  // namespace tandem::eval
