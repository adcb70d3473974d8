// WebP through libwebp, in the colours that Pillow's convert("RGB") gives: alpha is dropped. Of an
// animation the first frame, on the canvas of transparent black that it is drawn on.

#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "tandem/base/error.h"
#include "vision/codecs.h"

namespace tandem::vision {
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, "[decode] broken WebP: " + what, where);
}

// The size that the RIFF header states must be there: a picture that was cut is refused even where
// its pixels would still decode.
void check_whole(Bytes bytes, const std::string& where) {
  const std::size_t stated = std::size_t{bytes[4]} | std::size_t{bytes[5]} << 8 |
                             std::size_t{bytes[6]} << 16 | std::size_t{bytes[7]} << 24;
  if (stated > bytes.size() - 8) {
    fail("truncated: " + std::to_string(bytes.size()) + " of " + std::to_string(stated + 8) +
             " bytes",
         where);
  }
}

WebPBitstreamFeatures features_of(Bytes bytes, const std::string& where,
                                  const DecodeLimits& limits) {
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) {
    fail("its header does not parse", where);
  }
  check_limits(features.width, features.height, where, limits);
  return features;
}

struct FreeDecoder {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

void first_frame(Bytes bytes, const std::string& where, Image& image) {
  WebPAnimDecoderOptions options;
  TANDEM_CHECK(WebPAnimDecoderOptionsInit(&options) != 0, "libwebp of another version");
  options.color_mode = MODE_RGBA;
  const WebPData data{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, FreeDecoder> decoder(WebPAnimDecoderNew(&data, &options));
  if (decoder == nullptr) fail("its frames do not parse", where);
  std::uint8_t* pixels = nullptr;  // the decoder's own
  int time = 0;
  if (WebPAnimDecoderGetNext(decoder.get(), &pixels, &time) == 0 || pixels == nullptr) {
    fail("its first frame does not decode", where);
  }
  for (std::size_t i = 0; i < image.rgb.size() / 3; ++i) {
    for (std::size_t c = 0; c < 3; ++c) image.rgb[i * 3 + c] = pixels[i * 4 + c];
  }
}

}  // namespace

PictureSize webp_size(Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  const WebPBitstreamFeatures features = features_of(bytes, where, limits);
  return {features.width, features.height};
}

Image decode_webp(Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  const WebPBitstreamFeatures features = features_of(bytes, where, limits);
  check_whole(bytes, where);
  Image image = make_image(features.width, features.height);
  if (features.has_animation != 0) {
    first_frame(bytes, where, image);
  } else if (WebPDecodeRGBInto(bytes.data(), bytes.size(), image.rgb.data(), image.rgb.size(),
                               features.width * 3) == nullptr) {
    fail("its pixels do not decode", where);
  }
  return image;
}

}  // namespace tandem::vision
