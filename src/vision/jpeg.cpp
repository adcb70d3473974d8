// JPEG through libjpeg's own interface. Its errors leave by longjmp, so everything between setjmp
// and the jump is plain C: no object with a destructor lives in those functions.

#include <csetjmp>
#include <cstddef>
#include <cstdio>
// jpeglib.h needs size_t and FILE before it.
#include <jerror.h>
#include <jpeglib.h>

#include "tandem/base/error.h"
#include "vision/codecs.h"

namespace tandem::vision {
namespace {

struct Jpeg {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape{};
  char message[JMSG_LENGTH_MAX]{};
  int max_scans = 0;

  Jpeg() = default;
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;
  ~Jpeg() { jpeg_destroy_decompress(&info); }  // safe on a zeroed struct
};

Jpeg& self(j_common_ptr info) { return *static_cast<Jpeg*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  Jpeg& jpeg = self(info);
  (*info->err->format_message)(info, jpeg.message);
  std::longjmp(jpeg.escape, 1);
}

// A warning means that data are missing or do not decode, but for those that decoders of the web
// let pass: stray bytes between markers, odd version numbers.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_TOO_MUCH_DATA:
      return;
    default:
      on_error(info);
  }
}

void on_progress(j_common_ptr info) {
  Jpeg& jpeg = self(info);
  if (jpeg.info.input_scan_number <= jpeg.max_scans) return;
  std::snprintf(jpeg.message, sizeof jpeg.message, "more than %d scans", jpeg.max_scans);
  std::longjmp(jpeg.escape, 1);
}

// The three stages; each returns false after an error, with the text in jpeg.message.
bool read_header(Jpeg& jpeg, Bytes bytes) {
  jpeg.info.err = jpeg_std_error(&jpeg.errors);
  jpeg.errors.error_exit = on_error;
  jpeg.errors.emit_message = on_message;
  jpeg.info.client_data = &jpeg;
  if (setjmp(jpeg.escape) != 0) return false;
  jpeg_create_decompress(&jpeg.info);
  jpeg.info.client_data = &jpeg;
  jpeg.progress.progress_monitor = on_progress;
  jpeg.info.progress = &jpeg.progress;
  jpeg_mem_src(&jpeg.info, bytes.data(), bytes.size());
  jpeg_read_header(&jpeg.info, TRUE);
  return true;
}

bool start(Jpeg& jpeg, int reduction) {
  if (setjmp(jpeg.escape) != 0) return false;
  const bool four =
      jpeg.info.jpeg_color_space == JCS_CMYK || jpeg.info.jpeg_color_space == JCS_YCCK;
  jpeg.info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  jpeg.info.scale_num = 1;
  jpeg.info.scale_denom = static_cast<unsigned>(reduction);
  jpeg_start_decompress(&jpeg.info);
  return true;
}

bool read_rows(Jpeg& jpeg, std::uint8_t* pixels, std::size_t stride) {
  if (setjmp(jpeg.escape) != 0) return false;
  while (jpeg.info.output_scanline < jpeg.info.output_height) {
    JSAMPROW row = pixels + stride * jpeg.info.output_scanline;
    jpeg_read_scanlines(&jpeg.info, &row, 1);
  }
  jpeg_finish_decompress(&jpeg.info);
  return true;
}

[[noreturn]] void fail(const Jpeg& jpeg, const std::string& where) {
  throw Error(ErrorKind::data, std::string("[decode] broken JPEG: ") + jpeg.message, where);
}

void open(Jpeg& jpeg, Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  jpeg.max_scans = limits.max_scans;
  if (!read_header(jpeg, bytes)) fail(jpeg, where);
  check_limits(jpeg.info.image_width, jpeg.info.image_height, where, limits);
}

// Adobe writes CMYK inverted, and says so by its marker.
void cmyk_to_rgb(const std::vector<std::uint8_t>& cmyk, bool inverted, Image& image) {
  const auto product = [](int a, int b) {  // a * b / 255, rounded
    const int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
  };
  const std::uint8_t flip = inverted ? 255 : 0;
  for (std::size_t i = 0; i * 4 < cmyk.size(); ++i) {
    const int white = 255 - (cmyk[i * 4 + 3] ^ flip);
    for (std::size_t c = 0; c < 3; ++c) {
      const int value = white - product(cmyk[i * 4 + c] ^ flip, white);
      image.rgb[i * 3 + c] = static_cast<std::uint8_t>(value < 0 ? 0 : value);
    }
  }
}

}  // namespace

PictureSize jpeg_size(Bytes bytes, const std::string& where, const DecodeLimits& limits) {
  Jpeg jpeg;
  open(jpeg, bytes, where, limits);
  return {static_cast<int>(jpeg.info.image_width), static_cast<int>(jpeg.info.image_height)};
}

Image decode_jpeg(Bytes bytes, const std::string& where, const DecodeLimits& limits,
                  int reduction) {
  Jpeg jpeg;
  open(jpeg, bytes, where, limits);
  if (!start(jpeg, reduction)) fail(jpeg, where);
  Image image = make_image(static_cast<int>(jpeg.info.output_width),
                           static_cast<int>(jpeg.info.output_height));
  const std::size_t width = jpeg.info.output_width;
  if (jpeg.info.output_components == 3) {
    if (!read_rows(jpeg, image.rgb.data(), width * 3)) fail(jpeg, where);
    return image;
  }
  TANDEM_CHECK(jpeg.info.output_components == 4, "a JPEG has 3 or 4 channels here");
  std::vector<std::uint8_t> cmyk(width * 4 * jpeg.info.output_height);
  const bool inverted = jpeg.info.saw_Adobe_marker != 0;
  if (!read_rows(jpeg, cmyk.data(), width * 4)) fail(jpeg, where);
  cmyk_to_rgb(cmyk, inverted, image);
  return image;
}

}  // namespace tandem::vision
