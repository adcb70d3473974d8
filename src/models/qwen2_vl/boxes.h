#pragma once
// Boxes as the two versions write them in text.
//   Qwen2-VL    <|box_start|>(x0,y0),(x1,y1)<|box_end|>, 0 to 1000 of the picture's sides, behind
//               <|object_ref_start|>label<|object_ref_end|>
//   Qwen2.5-VL  [{"bbox_2d": [x0, y0, x1, y1], "label": "..."}], pixels of the picture that the
//               model sees, after smart_resize
// Source: arXiv:2409.12191, section 2.2.1; arXiv:2502.13923, section 2.2.1; specs E4.

#include <string>
#include <string_view>
#include <vector>

#include "models/qwen2_vl/config.h"
#include "tandem/data/sample.h"
#include "tandem/vision/any_resolution.h"

namespace tandem::models::qwen2_vl {

// The picture as it is stored, where boxes are pixels, and as the model sees it.
struct Frame {
  vision::Extent stored, seen;
};

struct LabelledBox {
  data::Box box{};
  std::string label{};  // may be empty
};

std::string write_boxes(const std::vector<LabelledBox>& boxes, const Frame& frame, Version version);
// What of a text can be read as boxes, in its order (text/boxes.h); the rest is passed over. Both
// corners in any order; pixels of the stored picture, within it. Labels: Qwen2.5-VL's.
std::vector<LabelledBox> read_boxes(std::string_view text, const Frame& frame, Version version);

}  // namespace tandem::models::qwen2_vl
