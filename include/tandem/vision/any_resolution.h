#pragma once
// Pictures of any resolution, as the Qwen2-VL family sees them: sides that are multiples of a merge
// cell, cut into patches whose order is that of the cells. Source: Wang et al. 2024
// (arXiv:2409.12191), section 2.1; qwen_vl_utils/vision_process.py;
// transformers/models/qwen2_vl/image_processing_qwen2_vl.py.

#include <cstdint>
#include <span>
#include <string>

#include "tandem/vision/image.h"

namespace tandem::vision {

struct Extent {
  std::int64_t height = 0, width = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};

// The two published versions clamp a side to one cell at different places: qwen_vl_utils before it
// looks at the limits, transformers' class only where the picture is too large.
enum class ResizeRule { qwen, transformers };

struct PixelLimits {
  double least = 56 * 56, most = 28 * 28 * 1280;  // height x width
};

// Sides that are multiples of `factor`, with an area within the limits where that is possible and
// the proportions kept as well as that allows. Halves are rounded to even, as Python does. Throws
// Error(data) for proportions above 200 and for a side that becomes 0.
Extent smart_resize(const Extent& picture, std::int64_t factor, const PixelLimits& limits,
                    ResizeRule rule, const std::string& where = {});

// Sides of patches and cells: `merge` x `merge` patches make one token of the language model, and
// `frames` frames one patch.
struct PatchShape {
  std::int64_t patch = 14, merge = 2, frames = 2;

  std::int64_t factor() const { return patch * merge; }
  std::int64_t numbers() const { return 3 * frames * patch * patch; }  // of a patch
};

struct Grid {
  std::int64_t t = 1, h = 0, w = 0;  // in patches

  std::int64_t patches() const { return t * h * w; }
  friend bool operator==(const Grid&, const Grid&) = default;
};

// Of `frames` frames (1: a picture) whose sides are multiples of the factor.
Grid grid_of(const Extent& frame, std::int64_t frames, const PatchShape& shape);

// The one count of a picture's or a clip's tokens: for the prompt and for the model.
std::int64_t tokens_of(const Grid& grid, std::int64_t merge);

// Frames of one size to [t h w, 3 x frames x patch x patch]: slices of time, then cells in rows,
// the patches of a cell together; inside a patch channel, frame, row, column. The last frame is
// repeated until their number is a multiple of shape.frames (so a picture is two equal frames).
// `out` holds exactly that many bytes.
void write_patches(std::span<const Image> frames, const PatchShape& shape,
                   std::span<std::uint8_t> out);

}  // namespace tandem::vision
