#pragma once
// Resampling equal to Pillow's Image.resize for 8-bit RGB: antialiased (the filter widens with the
// reduction), two passes, coefficients of 22 bits, rounded to 8 bits between the passes. The same
// bytes on every machine. The horizontal pass comes first, as in all Pillows up to 12; as in 13 the
// vertical one does where the height shrinks by more than twice what the width does (pixels of
// noise then differ by up to twenty from the older ones).

#include <optional>

#include "tandem/vision/image.h"

namespace tandem::vision {

enum class Filter { bilinear, bicubic };  // bicubic: a = -0.5

// The part of a picture that is resized, in its pixels; fractions are allowed. As in Pillow, pixels
// just outside the box still weigh in at its edges.
struct Window {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

struct Rectangle {
  int x = 0, y = 0, width = 0, height = 0;
};

Image resize(const Image& image, int width, int height, Filter filter,
             const std::optional<Window>& window = {});

// crop, then resize, without the copy: only pixels of the rectangle count. It lies inside.
Image resized_crop(const Image& image, const Rectangle& part, int width, int height, Filter filter);

// The rectangle `part` of resize(image, width, height, filter), without computing the rest of it.
Image resize_part(const Image& image, int width, int height, const Rectangle& part, Filter filter);

// Black where the rectangle leaves the picture.
Image crop(const Image& image, const Rectangle& part);

void flip_horizontal(Image& image);

}  // namespace tandem::vision
