#pragma once
// Who stands where. Rows are ranked by their score, the dot product of normalised rows; of equal
// scores the one that comes first in the gallery stands first. A score that is no number stands
// last.
//
// The place that recall counts is stricter: a tie counts against the model, since a model that
// gives everything the same score must not look as if it knew something.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "tandem/dist/mesh.h"

namespace tandem::eval {

// Dot products of queries [Q, D] with rows [N, D], [Q, N]. One of the sides may have several rows
// each, [Q, K, D] or [N, K, D]: the likest of them counts.
at::Tensor similarities(const at::Tensor& queries, const at::Tensor& rows);

struct Hit {
  std::int64_t row = 0;
  double score = 0;
};

// The k best of a vector of scores [M] (fp32, on the CPU).
std::vector<Hit> best(const at::Tensor& scores, std::int64_t k);

// Place of the first right column of each row, 0 = best; a tie counts against the model.
// scores: [N, M]; right: [N, M] bool with at least one true a row. -> [N] int64
at::Tensor first_right_place(const at::Tensor& scores, const at::Tensor& right);

struct Ranking {
  at::Tensor places;                    // [Q] int64, on all ranks
  std::vector<std::vector<Hit>> top{};  // by query; only of this rank's queries, else empty
};

// Row m is right for query q where row_owner[m] == query_owner[q]. Queries are taken in blocks that
// the ranks share, so that the table of all scores is never held. top: how many hits are kept.
struct Side {
  at::Tensor rows;   // [N, D], or [N, K, D]
  at::Tensor owner;  // [N] int64
};
Ranking rank(const dist::Mesh& mesh, const Side& queries, const Side& rows, std::int64_t top);

// The same by any scores: of the queries [first, last) with all rows, [last - first, N].
using ScoreBlock = std::function<at::Tensor(std::int64_t first, std::int64_t last)>;
Ranking rank_by(const dist::Mesh& mesh, const ScoreBlock& score, const at::Tensor& query_owner,
                const at::Tensor& row_owner, std::int64_t top);

// The rank that a query's hits lie on.
int rank_of_query(const dist::Mesh& mesh, std::int64_t query);

}  // namespace tandem::eval
