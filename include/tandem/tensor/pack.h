#pragma once
// Samples laid end to end in one row of text, so that no place of it is padding. Who sees whom
// follows from `segments` (nn::packed_mask).

#include <cstdint>
#include <vector>

#include "tandem/tensor/batch.h"

namespace tandem {

// Tokens of an example in a pack, of a rejected answer too. Throws Error(data) for one that cannot
// stand in it: without a row of text, or with other parts than texts, pictures and patches.
std::int64_t packed_length(const Batch& example);

// One batch whose text is a row [1, sum T]: with `segments` (0, 1, ...), `lengths`, and `positions`
// that begin anew in each sample ([3, 1, sum T] where the examples have three a token). The first
// token of a sample has no label there, as what stands before it is another sample. Rejected
// answers are a second such row. All else as collate() makes it: size() is the number of samples,
// not of rows. Throws Error(data) as packed_length and collate do.
Batch pack(std::vector<Batch> examples);

}  // namespace tandem
