#include "tandem/eval/ranking.h"

#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tandem/base/error.h"

namespace tandem::eval {
namespace {

constexpr std::int64_t block = 256;  // queries at once: the same runs on any number of ranks
constexpr double lowest = -std::numeric_limits<double>::infinity();

at::Tensor without_nan(const at::Tensor& scores) {
  return at::where(scores.isnan(), at::full({}, lowest, scores.options()), scores);
}

}  // namespace

at::Tensor similarities(const at::Tensor& queries, const at::Tensor& rows) {
  TANDEM_CHECK(queries.dim() == 2 || rows.dim() == 2, "[eval] one side may have several rows each");
  if (queries.dim() == 2 && rows.dim() == 2) return queries.matmul(rows.t());
  // One at a time: all of them at once would be K tables of scores.
  const bool many = queries.dim() == 3;
  at::Tensor likest;
  for (std::int64_t k = 0; k < (many ? queries : rows).size(1); ++k) {
    const at::Tensor one =
        many ? queries.select(1, k).matmul(rows.t()) : queries.matmul(rows.select(1, k).t());
    likest = likest.defined() ? at::maximum(likest, one) : one;
  }
  return likest;
}

std::vector<Hit> best(const at::Tensor& given, std::int64_t k) {
  const at::Tensor scores = without_nan(given).to(at::kFloat).contiguous();
  const auto* values = scores.const_data_ptr<float>();
  std::vector<Hit> hits;
  hits.reserve(static_cast<std::size_t>(scores.numel()));
  for (std::int64_t i = 0; i < scores.numel(); ++i) {
    hits.push_back({i, static_cast<double>(values[i])});
  }
  const auto count = static_cast<std::ptrdiff_t>(std::min<std::int64_t>(k, scores.numel()));
  std::partial_sort(hits.begin(), hits.begin() + count, hits.end(), [](const Hit& a, const Hit& b) {
    return a.score != b.score ? a.score > b.score : a.row < b.row;
  });
  hits.resize(static_cast<std::size_t>(count));
  return hits;
}

at::Tensor first_right_place(const at::Tensor& given, const at::Tensor& right) {
  const at::Tensor scores = without_nan(given);
  const at::Tensor best =
      at::where(right, scores, at::full({}, lowest, scores.options())).amax(1, true);
  // Wrong ones that score as much or more stand before it.
  return scores.ge(best).logical_and(right.logical_not()).sum(1);
}

int rank_of_query(const dist::Mesh& mesh, std::int64_t query) {
  return static_cast<int>(query / block % mesh.size());
}

Ranking rank_by(const dist::Mesh& mesh, const ScoreBlock& score, const at::Tensor& query_owner,
                const at::Tensor& row_owner, std::int64_t top) {
  TANDEM_CHECK(row_owner.size(0) > 0, "[eval] nothing to rank");
  const std::int64_t count = query_owner.size(0);
  Ranking ranking{.places = at::zeros({count}, at::kLong)};
  ranking.top.resize(static_cast<std::size_t>(count));
  for (std::int64_t first = 0; first < count; first += block) {
    if (rank_of_query(mesh, first) != mesh.rank()) continue;
    const std::int64_t last = std::min(first + block, count);
    const at::Tensor scores = score(first, last);
    const at::Tensor right =
        query_owner.slice(0, first, last).unsqueeze(1).eq(row_owner.unsqueeze(0));
    ranking.places.slice(0, first, last).copy_(first_right_place(scores, right));
    for (std::int64_t i = first; i < last && top > 0; ++i) {
      ranking.top[static_cast<std::size_t>(i)] = best(scores[i - first], top);
    }
  }
  dist::all_reduce_sum(mesh, ranking.places);
  return ranking;
}

Ranking rank(const dist::Mesh& mesh, const Side& queries, const Side& rows, std::int64_t top) {
  const auto cosine = [&](std::int64_t first, std::int64_t last) {
    return similarities(queries.rows.slice(0, first, last), rows.rows);
  };
  return rank_by(mesh, cosine, queries.owner, rows.owner, top);
}

}  // namespace tandem::eval
