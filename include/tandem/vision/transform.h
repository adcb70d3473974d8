#pragma once
// What happens to a picture between its pixels and a model: one random view in training, one fixed
// view in evaluation. Both give `size` x `size` pixels as uint8; (x/255 - mean)/std is the
// device's.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/base/random.h"
#include "tandem/vision/image.h"
#include "tandem/vision/rand_augment.h"
#include "tandem/vision/resize.h"

namespace tandem::vision {

// Of the evaluation transform and of every normalisation. Defaults: CLIP as released.
struct ImageSettings {
  std::int64_t size = 224;
  std::string interpolation = "bicubic";
  std::string orientation = "exif";  // exif: upright; stored: as the file's rows stand
  std::string decode = "full";       // scaled: see training_view of an encoded picture
  std::vector<double> mean{0.48145466, 0.4578275, 0.40821073};
  std::vector<double> std{0.26862954, 0.26130258, 0.27577711};
};
// All but the size, which a model states elsewhere.
void fields(FieldVisitor& visitor, ImageSettings& settings);

// Of the view in training. CLIP's paper crops at random and does nothing else; the defaults are
// those of open_clip's reproduction.
struct AugmentSettings {
  double min_scale = 0.9, max_scale = 1.0;  // share of the picture's area
  double min_ratio = 3.0 / 4, max_ratio = 4.0 / 3;
  double flip = 0.0;  // probability; off where captions say left and right
  bool use_rand_augment = false;
  RandAugmentSettings rand_augment{};
};
void fields(FieldVisitor& visitor, AugmentSettings& settings);

// An encoded picture's pixels, upright where the settings say so. Throws as decode() does.
Image decode(std::span<const std::uint8_t> bytes, const std::string& where,
             const ImageSettings& settings);

Filter filter_of(const ImageSettings& settings);

// Short side resized to `size` (the long one truncated to whole pixels), then the centre: equal to
// the Hugging Face CLIP processor. A side that is too short cannot occur.
Image evaluation_view(const Image& image, const ImageSettings& settings);

// torchvision's RandomResizedCrop and RandomHorizontalFlip with keyed draws: at most 10 tries of
// area and ratio, else the largest centred part within the ratios. RandAugment where it is on.
Image training_view(const Image& image, const ImageSettings& settings,
                    const AugmentSettings& augment, Key key);

// The same of an encoded picture. `decode: scaled` reads a JPEG at 1/2, 1/4 or 1/8 of its sides
// where the crop, so reduced, still covers `size`: the same crop from fewer pixels, not the same
// bytes. Throws as decode() does.
Image training_view(std::span<const std::uint8_t> encoded, const std::string& where,
                    const ImageSettings& settings, const AugmentSettings& augment, Key key);

// The rectangle that training_view cuts out.
Rectangle random_crop(int width, int height, const AugmentSettings& augment, Random& random);

// [height, width, 3] to [3, height, width]; `out` holds exactly that many bytes.
void write_chw(const Image& image, std::span<std::uint8_t> out);

}  // namespace tandem::vision
