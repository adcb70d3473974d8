#include "tandem/vision/transform.h"

#include <algorithm>
#include <cmath>

#include "tandem/base/error.h"
#include "tandem/vision/decode.h"

namespace tandem::vision {

void fields(FieldVisitor& v, ImageSettings& s) {
  v.field("size", s.size, {.doc = "pixels of a side that the model sees", .min = 1, .max = 4096});
  v.field(
      "interpolation", s.interpolation,
      {.doc = "how pictures are resized, always antialiased", .choices = {"bicubic", "bilinear"}});
  v.field("orientation", s.orientation,
          {.doc = "exif: pictures are turned upright as their EXIF says; stored: left as they are, "
                  "as most released training code does",
           .choices = {"exif", "stored"}});
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

Image training_view(const Image& image, const ImageSettings& settings,
                    const AugmentSettings& augment, Key key) {
  TANDEM_CHECK(!image.empty(), "[training_view] an empty picture");
  if (augment.use_rand_augment && augment.rand_augment.before_crop()) {
    AugmentSettings rest = augment;
    rest.use_rand_augment = false;
    return training_view(rand_augment(image, augment.rand_augment, key), settings, rest, key);
  }
  Random random(key.fold("crop"));
  const Rectangle part = random_crop(image.width, image.height, augment, random);
  const auto size = static_cast<int>(settings.size);
  Image view = resized_crop(image, part, size, size, filter_of(settings));
  if (Random(key.fold("flip")).chance(augment.flip)) flip_horizontal(view);
  return augment.use_rand_augment ? rand_augment(view, augment.rand_augment, key) : view;
}

void write_chw(const Image& image, std::span<std::uint8_t> out) {
  TANDEM_CHECK(out.size() == image.rgb.size(), "[write_chw] expected room for 3 x H x W bytes");
  const std::size_t plane = image.rgb.size() / 3;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) out[c * plane + i] = image.rgb[i * 3 + c];
  }
}

}  // namespace tandem::vision
