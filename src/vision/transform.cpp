#include "tandem/vision/transform.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/vision/decode.h"

namespace tandem::vision {

void fields(FieldVisitor& v, ImageSettings& s) {
  v.field(
      "interpolation", s.interpolation,
      {.doc = "how pictures are resized, always antialiased", .choices = {"bicubic", "bilinear"}});
  v.field("orientation", s.orientation,
          {.doc = "exif: pictures are turned upright as their EXIF says; stored: left as they are, "
                  "as most released training code does",
           .choices = {"exif", "stored"}});
  v.field("decode", s.decode,
          {.doc = "scaled: in training a JPEG is read at 1/2, 1/4 or 1/8 of its sides where that "
                  "still covers the crop; faster, and not the same pixels",
           .choices = {"full", "scaled"}});
  v.field("mean", s.mean, {.doc = "subtracted per channel, of pixels in [0, 1]"});
  v.field("std", s.std, {.doc = "divided by per channel"});
  if (s.mean.size() != 3) v.problem("mean", "expected 3 numbers");
  if (s.std.size() != 3 || *std::min_element(s.std.begin(), s.std.end()) <= 0) {
    v.problem("std", "expected 3 numbers above 0");
  }
}

void fields(FieldVisitor& v, AugmentSettings& s) {
  v.field("min_scale", s.min_scale,
          {.doc = "smallest share of the area that a random crop keeps",
           .min = 0,
           .max = 1,
           .above_min = true});
  v.field("max_scale", s.max_scale,
          {.doc = "largest share of the area that a random crop keeps",
           .min = 0,
           .max = 1,
           .above_min = true});
  v.field("min_ratio", s.min_ratio,
          {.doc = "narrowest crop, width to height", .min = 0, .above_min = true});
  v.field("max_ratio", s.max_ratio,
          {.doc = "widest crop, width to height", .min = 0, .above_min = true});
  v.field("flip", s.flip, {.doc = "probability of a mirrored picture", .min = 0, .max = 1});
  v.optional_block("rand_augment", s.use_rand_augment,
                   {.doc = "random operations of one strength", .aliases = {"randaugment", "aa"}},
                   [&](FieldVisitor& inner) { fields(inner, s.rand_augment); });
  if (s.min_scale > s.max_scale) v.problem("min_scale", "expected at most max_scale");
  if (s.min_ratio > s.max_ratio) v.problem("min_ratio", "expected at most max_ratio");
}

Image decode(std::span<const std::uint8_t> bytes, const std::string& where,
             const ImageSettings& settings) {
  return settings.orientation == "exif" ? decode_upright(bytes, where) : decode(bytes, where);
}

Filter filter_of(const ImageSettings& settings) {
  return settings.interpolation == "bilinear" ? Filter::bilinear : Filter::bicubic;
}

Image evaluation_view(const Image& image, const ImageSettings& settings) {
  TANDEM_CHECK(!image.empty(), "[evaluation_view] an empty picture");
  const auto size = static_cast<int>(settings.size);
  const std::int64_t shorter = std::min(image.width, image.height);
  const auto scaled = [&](std::int64_t side) {
    return static_cast<int>(settings.size * side / shorter);
  };
  const int width = scaled(image.width), height = scaled(image.height);
  const int x = (width - size) / 2, y = (height - size) / 2;
  // Only what the crop will show is computed: a panorama of 1 x 60000 must not become 224 x 13
  // million. The taps of a pixel do not depend on its neighbours, so the pixels are the same.
  return resize_part(image, width, height, {x, y, size, size}, filter_of(settings));
}

Rectangle random_crop(int width, int height, const AugmentSettings& a, Random& random) {
  const double area = static_cast<double>(width) * height;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * random.uniform(a.min_scale, a.max_scale);
    const double ratio = std::exp(random.uniform(std::log(a.min_ratio), std::log(a.max_ratio)));
    const double w = std::nearbyint(std::sqrt(target * ratio));
    const double h = std::nearbyint(std::sqrt(target / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const auto cut_w = static_cast<int>(w), cut_h = static_cast<int>(h);
    const auto y = static_cast<int>(random.between(0, height - cut_h));
    const auto x = static_cast<int>(random.between(0, width - cut_w));
    return {x, y, cut_w, cut_h};
  }
  int w = width, h = height;
  const double ratio = static_cast<double>(width) / height;
  if (ratio < a.min_ratio) {
    h = static_cast<int>(std::nearbyint(w / a.min_ratio));
  } else if (ratio > a.max_ratio) {
    w = static_cast<int>(std::nearbyint(h * a.max_ratio));
  }
  w = std::clamp(w, 1, width);
  h = std::clamp(h, 1, height);
  return {(width - w) / 2, (height - h) / 2, w, h};
}

namespace {

// What follows the crop.
Image finished(Image view, const AugmentSettings& augment, Key key) {
  if (Random(key.fold("flip")).chance(augment.flip)) flip_horizontal(view);
  return augment.use_rand_augment ? rand_augment(view, augment.rand_augment, key) : view;
}

bool augments_before_crop(const AugmentSettings& augment) {
  return augment.use_rand_augment && augment.rand_augment.before_crop();
}

// The largest of 1, 2, 4, 8 by which a crop may be reduced and still covers `size`.
int reduction_of(const Rectangle& part, std::int64_t size) {
  int reduction = 8;
  while (reduction > 1 && std::min(part.width, part.height) < size * reduction) reduction /= 2;
  return reduction;
}

}  // namespace

Image training_view(const Image& image, const ImageSettings& settings,
                    const AugmentSettings& augment, Key key) {
  TANDEM_CHECK(!image.empty(), "[training_view] an empty picture");
  if (augments_before_crop(augment)) {
    AugmentSettings rest = augment;
    rest.use_rand_augment = false;
    return training_view(rand_augment(image, augment.rand_augment, key), settings, rest, key);
  }
  Random random(key.fold("crop"));
  const Rectangle part = random_crop(image.width, image.height, augment, random);
  const auto size = static_cast<int>(settings.size);
  return finished(resized_crop(image, part, size, size, filter_of(settings)), augment, key);
}

Image training_view(std::span<const std::uint8_t> encoded, const std::string& where,
                    const ImageSettings& settings, const AugmentSettings& augment, Key key) {
  if (settings.decode != "scaled" || sniff(encoded) != Encoding::jpeg ||
      augments_before_crop(augment)) {
    return training_view(decode(encoded, where, settings), settings, augment, key);
  }
  const int turned = settings.orientation == "exif" ? orientation(encoded) : 1;
  PictureSize stored = picture_size(encoded, where);
  if (turned >= 5) std::swap(stored.width, stored.height);
  Random random(key.fold("crop"));
  const Rectangle part = random_crop(stored.width, stored.height, augment, random);
  const int reduction = reduction_of(part, settings.size);
  const Image image = upright(decode_reduced(encoded, reduction, where), turned);
  const auto size = static_cast<int>(settings.size);
  if (reduction == 1) {
    return finished(resized_crop(image, part, size, size, filter_of(settings)), augment, key);
  }
  const auto scaled = [&](int at, int side) {
    return std::min<double>(static_cast<double>(at) / reduction, side);
  };
  const Window window{scaled(part.x, image.width), scaled(part.y, image.height),
                      scaled(part.x + part.width, image.width),
                      scaled(part.y + part.height, image.height)};
  return finished(resize(image, size, size, filter_of(settings), window), augment, key);
}

void write_chw(const Image& image, std::span<std::uint8_t> out) {
  TANDEM_CHECK(out.size() == image.rgb.size(), "[write_chw] expected room for 3 x H x W bytes");
  const std::size_t plane = image.rgb.size() / 3;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) out[c * plane + i] = image.rgb[i * 3 + c];
  }
}

}  // namespace tandem::vision
