#pragma once
// Retrieval by the cosine of two embeddings (CLIP's protocol; recall as in Karpathy and Fei-Fei,
// arXiv:1412.2306: the rank of the FIRST right one counts).

#include <ATen/core/Tensor.h>

#include "tandem/eval/task.h"

namespace tandem::eval {

// R@1, R@5, R@10 both ways, as shares: image_to_text.r1, text_to_image.r1, ... and their mean.
Metrics retrieval(const Input& input);

// Within the groups of the source (Sample::group): hard.text_to_image, hard.image_to_text.
Metrics hard_retrieval(const Input& input);

// Place of the first right column of each row, 0 = best; a tie counts against the model.
// scores: [N, M]; right: [N, M] bool with at least one true a row. -> [N] int64
at::Tensor first_right_place(const at::Tensor& scores, const at::Tensor& right);

}  // namespace tandem::eval
