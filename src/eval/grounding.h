#pragma once
// Where in a picture a text is, by the map that Abilities::locate gives: it covers the whole
// picture, however that was resized.

#include "tandem/eval/task.h"

namespace tandem::eval {

// pointing: share of maps whose hottest cell lies in the right box (Sample::boxes[0]).
// Where samples have proposals, accuracy: share of samples whose hottest proposal (its sum over the
// root of its area, on the map resized to the picture, bicubic) is the right one: Sample::label, or
// without one a box with IoU >= 0.5; and `chance`, the mean of 1 / number of proposals. Both of
// each kind, too. (The rule that RefCOCO+ is measured by without boxes to learn from.)
Metrics grounding(const Input& input);

}  // namespace tandem::eval
