#pragma once
// Which other sample of a batch stands in as a negative. The draws are a function of the key; the
// host waits for nothing. Source of the weighting: Li et al. 2021 (ALBEF), 3.2.

#include <ATen/core/Tensor.h>

#include "tandem/base/random.h"

namespace tandem::objectives {

// One column of each row, drawn with probability in proportion to weights [B, N] (>= 0); a row of
// zeros is drawn evenly over all columns but `own` (its own sample), int64 [B]. -> int64 [B]
// first: rows in front of these that others draw for under the same key (those of ranks before).
at::Tensor draw_columns(const at::Tensor& weights, const at::Tensor& own, Key key,
                        std::int64_t first = 0);

// The same evenly over the columns of other ids, and where there is none over all but the row's
// own. ids [B] int64: equal where rows may not stand in for each other, of rows and columns alike.
at::Tensor draw_unlike(const at::Tensor& ids, Key key);

// For each of `size` samples another one, evenly: int64 [size] on the CPU. size >= 2.
at::Tensor draw_others(std::int64_t size, Key key);

}  // namespace tandem::objectives
