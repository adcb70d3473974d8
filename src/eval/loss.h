#pragma once
// Validation loss.

#include "tandem/eval/task.h"

namespace tandem::eval {

// Each loss of input.request as the mean over input.size samples, and "total", their weighted sum.
// It is divided by what Model::counts says, as in training.
// The samples are cut into batches of input.batch in the order of the source, the last one shorter;
// a contrastive loss sees one batch at a time. A batch is computed by one rank, and the sums are
// added in the order of the batches: the same bits on any number of ranks.
Metrics loss(const Input& input);

}  // namespace tandem::eval
