#pragma once
// RandAugment in the two variants that vision-language systems were trained with. Both draw `ops`
// operations, with repetition, all of one strength; how an operation reads its strength, and where
// in the training view it stands, is the variant's.
//   * lavis (ALBEF, VLMo, BLIP, BLIP-2, LAVIS): after crop and flip. Each operation is left out
//   with
//     probability 1/2; strength of 10; what comes from outside the picture is gray (128); OpenCV's
//     bilinear geometry. By default ten operations that keep colours.
//   * vilt: before the crop, on the whole picture, and each one is done; strength of 30; black
//     outside; Pillow's operations with nearest neighbours. By default fourteen (Invert and Cutout
//     are not among them).
// Pixels equal the original code's (tests/reference/rand_augment.py): vilt to the bit, lavis within
// 1 where it computes in floating point. One thing is not imitated: lavis' AutoContrast negates an
// unsigned number and turns pictures without a black pixel white; ours does what it says,
// ImageOps.autocontrast.
// Sources: Cubuk et al. 2020; LAVIS' processors/randaugment.py; ViLT's transforms/randaug.py.

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/base/random.h"
#include "tandem/vision/image.h"

namespace tandem::vision {

struct RandAugmentSettings {
  std::string variant = "lavis";
  std::int64_t ops = 2;
  double magnitude = 5;
  std::vector<std::string> only{};  // operations to draw from; empty: the variant's

  bool before_crop() const { return variant == "vilt"; }
};
void fields(FieldVisitor& visitor, RandAugmentSettings& settings);

// What is done is drawn from `key` alone.
Image rand_augment(const Image& image, const RandAugmentSettings& settings, Key key);

// Names of all operations of a variant; those that it draws from by default come first.
std::vector<std::string> rand_augment_ops(const std::string& variant);
// One of them. negative: the other direction, of those that have two.
Image apply_op(const std::string& variant, const std::string& op, const Image& image,
               double magnitude, bool negative);

}  // namespace tandem::vision
