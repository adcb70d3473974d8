#pragma once
// Zero-shot classification (Radford et al. 2021, 3.1.4; open_clip:src/open_clip/zero_shot_*.py): a
// class is the mean of the normalised embeddings of its templates, normalised again; a picture
// belongs to the class whose dot product with it is largest.

#include "tandem/eval/task.h"

namespace tandem::eval {

// top1, top5 (shares of pictures) and mean_per_class (the mean over classes of their top1). A
// sample's class is its label, or the class that its first text names; a sample without one is left
// out with a warning, and left_out says how many, where there are any. Ties: ranking.h. Throws
// Error(config) where no sample has a class.
Metrics zero_shot(const Input& input);

// Of the classes: [C, D], normalised. Every template has one `{}`, where the name goes.
at::Tensor class_rows(const Input& input);

}  // namespace tandem::eval
