#pragma once
// Where in a picture a text is, as the model writes it down.

#include "tandem/eval/task.h"

namespace tandem::eval {

// The reply to the family's own prompt for a sample with a box is read for the first box in it:
// JSON with "bbox_2d" in pixels of what the model sees, or "(x0,y0),(x1,y1)" in thousandths of the
// sides (the released evaluation of RefCOCO divides by 999). accuracy: share with an IoU of 0.5 or
// more with Sample::boxes[0]; iou: the mean; a reply without a box has 0. Both of each kind, too.
Metrics written_boxes(const Input& input);

}  // namespace tandem::eval
