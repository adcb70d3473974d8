#include "eval/match.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <optional>

#include "tandem/base/error.h"
#include "tandem/eval/ranking.h"

namespace tandem::eval {
namespace {

// Cosines of those that are not matched, less this, stand behind every score of a match.
constexpr double behind = 1e6;

std::function<at::Tensor(const Batch&)> scorer(const Input& input) {
  const models::Abilities can = input.model->abilities();
  if (can.match_score) return can.match_score;
  return can.match;
}

// Pairs as Batches; what is prepared once stays.
class Pairs {
 public:
  Pairs(const Input& input, const Gallery& gallery) : input_(input), gallery_(gallery) {
    for (const Entry& entry : gallery.entries) {
      for (const std::string& text : entry.texts) texts_.push_back(&text);
    }
    tokens_.resize(texts_.size());
  }

  // Pairs [first, last) of the list.
  Batch batch(const std::vector<Pair>& pairs, std::int64_t first, std::int64_t last) {
    std::vector<Batch> examples;
    for (std::int64_t i = first; i < last; ++i) {
      const Pair& pair = pairs[static_cast<std::size_t>(i)];
      examples.push_back({.positions = {i},
                          .picture_ids = at::full({1}, pair.picture, at::kLong),
                          .images = image(pair.picture),
                          .text = tokens(pair.text)});
    }
    return to(collate(examples, input_.processor->pad_id), input_.device);
  }

 private:
  const Images& image(std::int64_t entry) {
    if (entry != held_) {
      const Entry& one = gallery_.entries[static_cast<std::size_t>(entry)];
      image_ = input_.processor->image(input_.source->read(one.index).pictures.at(0));
      held_ = entry;
    }
    return image_;
  }

  const Tokens& tokens(std::int64_t text) {
    auto& kept = tokens_[static_cast<std::size_t>(text)];
    if (!kept) kept = input_.processor->text(*texts_[static_cast<std::size_t>(text)]);
    return *kept;
  }

  const Input& input_;
  const Gallery& gallery_;
  std::vector<const std::string*> texts_{};
  std::vector<std::optional<Tokens>> tokens_{};
  std::int64_t held_ = -1;
  Images image_{};
};

std::int64_t texts_of(const Gallery& gallery) { return gallery.owner.size(0); }

at::Tensor picture_owner(const Gallery& gallery) {
  return at::arange(static_cast<std::int64_t>(gallery.entries.size()), at::kLong);
}

// The k best rows of each query by cosine: [Q, k] int64, on all ranks.
at::Tensor candidates(const dist::Mesh& mesh, const Side& queries, const Side& rows,
                      std::int64_t k) {
  const Ranking ranking = rank(mesh, queries, rows, k);
  at::Tensor table = at::zeros({queries.rows.size(0), std::min(k, rows.rows.size(0))}, at::kLong);
  auto* values = table.mutable_data_ptr<std::int64_t>();
  for (std::size_t q = 0; q < ranking.top.size(); ++q) {
    for (std::size_t i = 0; i < ranking.top[q].size(); ++i) {
      values[static_cast<std::int64_t>(q) * table.size(1) + static_cast<std::int64_t>(i)] =
          ranking.top[q][i].row;
    }
  }
  dist::all_reduce_sum(mesh, table);  // each row was filled by one rank
  return table;
}

// Scores of pairs, found again by their numbers picture * T + text.
class Scores {
 public:
  Scores(const Input& input, const Gallery& gallery, const at::Tensor& texts_of_pictures,
         const at::Tensor& pictures_of_texts)
      : texts_(texts_of(gallery)) {
    add(texts_of_pictures, [&](std::int64_t q, std::int64_t row) { return q * texts_ + row; });
    add(pictures_of_texts, [&](std::int64_t q, std::int64_t row) { return row * texts_ + q; });
    std::sort(numbers_.begin(), numbers_.end());
    numbers_.erase(std::unique(numbers_.begin(), numbers_.end()), numbers_.end());
    std::vector<Pair> pairs;
    pairs.reserve(numbers_.size());
    for (const std::int64_t one : numbers_) pairs.push_back({one / texts_, one % texts_});
    scores_ = match_pairs(input, gallery, pairs);
  }

  double at(std::int64_t picture, std::int64_t text) const {
    const auto place = std::lower_bound(numbers_.begin(), numbers_.end(), picture * texts_ + text);
    return scores_.const_data_ptr<float>()[place - numbers_.begin()];
  }

 private:
  template <class Number>
  void add(const at::Tensor& candidates, Number number) {
    const auto* values = candidates.const_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < candidates.numel(); ++i) {
      numbers_.push_back(number(i / candidates.size(1), values[i]));
    }
  }

  std::int64_t texts_;
  std::vector<std::int64_t> numbers_{};
  at::Tensor scores_;  // [pairs]
};

// score: of a query and a row that is one of its candidates.
template <class Score>
Ranking rank_candidates(const Input& input, const Side& queries, const Side& rows,
                        const at::Tensor& candidates, std::int64_t top, Score score) {
  const std::int64_t k = candidates.size(1);
  const auto* numbers = candidates.const_data_ptr<std::int64_t>();
  const auto block = [&](std::int64_t first, std::int64_t last) {
    const at::Tensor cosine =
        similarities(queries.rows.slice(0, first, last), rows.rows).to(at::kDouble);
    at::Tensor scores = cosine.sub(behind).contiguous();
    auto* values = scores.mutable_data_ptr<double>();
    for (std::int64_t i = first * k; i < last * k; ++i) {
      const std::int64_t query = i / k, row = numbers[i];
      double& value = values[(query - first) * scores.size(1) + row];
      value = score(query, row) + (input.add_cosine ? value + behind : 0);
    }
    return scores;
  };
  return rank_by(*input.mesh, block, queries.owner, rows.owner, std::min(top, k));
}

}  // namespace

bool can_match(const Input& input) { return static_cast<bool>(scorer(input)); }

at::Tensor match_pairs(const Input& input, const Gallery& gallery, const std::vector<Pair>& pairs) {
  const auto score = scorer(input);
  if (!score || !input.processor->image || !input.processor->text) {
    throw Error(ErrorKind::config,
                "[eval] expected a model that matches pictures with texts; got one that cannot", "",
                "rerank: 0");
  }
  const c10::NoGradGuard no_grad;
  const auto count = static_cast<std::int64_t>(pairs.size());
  const std::int64_t ranks = input.mesh->size();
  at::Tensor scores = at::zeros({count}, at::kFloat);
  Pairs source(input, gallery);
  for (std::int64_t start = 0; start < count; start += input.batch * ranks) {
    if (input.between) input.between();
    const std::int64_t first = start + input.mesh->rank() * input.batch;
    if (first >= count) continue;
    const std::int64_t last = std::min(first + input.batch, count);
    scores.slice(0, first, last).copy_(score(source.batch(pairs, first, last)));
  }
  dist::all_reduce_sum(*input.mesh, scores);  // each was filled by one rank
  return scores;
}

BothWays rank_by_match(const Input& input, const Gallery& gallery, std::int64_t top) {
  const auto pictures = static_cast<std::int64_t>(gallery.entries.size());
  std::vector<Pair> pairs;
  pairs.reserve(static_cast<std::size_t>(pictures * texts_of(gallery)));
  for (std::int64_t p = 0; p < pictures; ++p) {
    for (std::int64_t t = 0; t < texts_of(gallery); ++t) pairs.push_back({p, t});
  }
  const at::Tensor table = match_pairs(input, gallery, pairs).view({pictures, texts_of(gallery)});
  const auto of = [](const at::Tensor& scores) {
    return [scores](std::int64_t first, std::int64_t last) { return scores.slice(0, first, last); };
  };
  const at::Tensor owner = picture_owner(gallery);
  return {rank_by(*input.mesh, of(table), owner, gallery.owner, top),
          rank_by(*input.mesh, of(table.t()), gallery.owner, owner, top)};
}

BothWays rerank(const Input& input, const Gallery& gallery, std::int64_t top) {
  const Side pictures{gallery.image, picture_owner(gallery)};
  const Side texts{gallery.text, gallery.owner};
  const at::Tensor to_text = candidates(*input.mesh, pictures, texts, input.rerank);
  const at::Tensor to_image = candidates(*input.mesh, texts, pictures, input.rerank);
  const Scores scores(input, gallery, to_text, to_image);
  const auto of_picture = [&](std::int64_t q, std::int64_t row) { return scores.at(q, row); };
  const auto of_text = [&](std::int64_t q, std::int64_t row) { return scores.at(row, q); };
  return {rank_candidates(input, pictures, texts, to_text, top, of_picture),
          rank_candidates(input, texts, pictures, to_image, top, of_text)};
}

}  // namespace tandem::eval
