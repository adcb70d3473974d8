#pragma once
// Pictures and clips as the tower sees them: chosen frames of the size that the rules give, and how
// many patches they are, from headers alone.

#include <string>
#include <vector>

#include "models/qwen2_vl/config.h"
#include "tandem/data/sample.h"
#include "tandem/vision/any_resolution.h"
#include "tandem/vision/image.h"

namespace tandem::models::qwen2_vl {

// A picture or a clip as it stands at a place of a dialogue.
struct Shown {
  std::vector<vision::Image> frames;  // resized; one: a picture
  Grid grid;
  bool clip = false;
  double seconds = 1;  // between slices of a clip
};

// The size of a frame: the one that is asked for, or its own within the limits.
vision::Extent size_of(const vision::Extent& frame, const text::VisionWish& wish,
                       const vision::PixelLimits& limits, const Config& config,
                       const std::string& where);
vision::PixelLimits picture_limits(const Config& config);

Grid picture_grid(const data::Picture& picture, const text::VisionWish& wish, const Config& config,
                  const std::string& where);
Grid clip_grid(const data::Clip& clip, const text::VisionWish& wish, const Config& config,
               const std::string& where);

Shown shown_picture(const vision::Image& pixels, const text::VisionWish& wish, const Config& config,
                    const std::string& where);
// Of a file or of a list of frames. Throws Error(data) for a file that is broken, for too few
// frames and for a clip without any.
Shown shown_clip(const data::Clip& clip, const text::VisionWish& wish, const Config& config,
                 const std::string& where);

}  // namespace tandem::models::qwen2_vl
