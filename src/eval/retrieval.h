#pragma once
// Retrieval, by the cosine of two embeddings, by a model that sees picture and text at once, or by
// the second among the first of the first (match.h). The protocol on COCO's and Flickr30k's
// galleries (Karpathy and Fei-Fei, arXiv:1412.2306): a picture has several captions (five count
// there); a picture finds its text when ANY of its captions is among the first K, every caption is
// a query for its own picture. Ties: ranking.h.

#include "tandem/eval/task.h"

namespace tandem::eval {

// R@1, R@5, R@10 both ways, as shares: image_to_text.r1, text_to_image.r1, ... and their mean.
Metrics retrieval(const Input& input);

// A model that can only match scores every pair; input.rerank is for one that can do both.
//
// Within the groups of the source (Sample::group), of which each picture has one caption:
// text_to_image and image_to_text, the share of right first places.
Metrics hard_retrieval(const Input& input);

}  // namespace tandem::eval
