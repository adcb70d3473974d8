#pragma once
// Pictures with texts, scored by a model that sees both at once (an image-text matching head).

#include <ATen/core/Tensor.h>

#include <vector>

#include "tandem/eval/gallery.h"
#include "tandem/eval/ranking.h"
#include "tandem/eval/task.h"

namespace tandem::eval {

struct Pair {
  std::int64_t picture = 0, text = 0;  // an entry of the gallery, and one of all texts in order
};

bool can_match(const Input& input);

// [pairs] fp32, on the CPU of every rank. Batches are runs of input.batch pairs, dealt to the ranks
// in turn: the same bits on any number of ranks. Next to each other, the pairs of a picture decode
// it once. Throws Error(config) for a model that cannot match.
at::Tensor match_pairs(const Input& input, const Gallery& gallery, const std::vector<Pair>& pairs);

struct BothWays {
  Ranking to_text, to_image;
};

// Every picture with every text.
BothWays rank_by_match(const Input& input, const Gallery& gallery, std::int64_t top);

// The first input.rerank by cosine of each query, in the order of their matches' scores; a pair
// that is a candidate both ways is scored once. All others stand behind them in the order of their
// cosines. No more than input.rerank hits are kept.
BothWays rerank(const Input& input, const Gallery& gallery, std::int64_t top);

}  // namespace tandem::eval
