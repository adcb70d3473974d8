#include "eval/retrieval.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "eval/match.h"
#include "eval/predictions.h"
#include "tandem/base/error.h"
#include "tandem/eval/gallery.h"
#include "tandem/eval/ranking.h"

namespace tandem::eval {
namespace {

constexpr std::int64_t kept_hits = 10;  // of a prediction, as far as R@10 looks

void add_recalls(Metrics& metrics, const std::string& name, const at::Tensor& places) {
  for (const int k : {1, 5, 10}) {
    metrics.emplace_back(name + ".r" + std::to_string(k),
                         places.lt(k).to(at::kDouble).mean().item<double>());
  }
}

// Both kinds of rows as (text, id, entry), so that a prediction is written once for both ways.
struct Row {
  std::string text{};
  std::string id{};
  std::int64_t entry = 0, index = -1;  // index: of the picture in the source; -1: this is a text
};

std::vector<Row> picture_rows(const Gallery& gallery) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < gallery.entries.size(); ++i) {
    const Entry& entry = gallery.entries[i];
    rows.push_back({entry.texts.front(), entry.id, static_cast<std::int64_t>(i), entry.index});
  }
  return rows;
}

std::vector<Row> text_rows(const Gallery& gallery) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < gallery.entries.size(); ++i) {
    const Entry& entry = gallery.entries[i];
    for (std::size_t t = 0; t < entry.texts.size(); ++t) {
      rows.push_back(
          {entry.texts[t], entry.id + "#" + std::to_string(t), static_cast<std::int64_t>(i)});
    }
  }
  return rows;
}

// The predictions of one way: a line a query, and the first few for a person.
void predict(const Input& input, const std::string& way, const std::vector<Row>& queries,
             const std::vector<Row>& rows, const Ranking& ranking) {
  LinesOfRanks lines(*input.mesh, static_cast<std::int64_t>(queries.size()));
  const auto* places = ranking.places.const_data_ptr<std::int64_t>();
  for (std::size_t q = 0; q < queries.size(); ++q) {
    if (!lines.mine(static_cast<std::int64_t>(q))) continue;
    Prediction one{.kind = way, .query = queries[q].id, .place = places[q]};
    for (const Hit& hit : ranking.top[q]) {
      const Row& row = rows[static_cast<std::size_t>(hit.row)];
      one.answers.push_back({row.id, hit.row, hit.score, row.entry == queries[q].entry});
    }
    lines.add(one);
  }
  for (Prediction& one : lines.gather(*input.predictions)) {  // the first ones, on rank 0
    Query shown{.text = queries[static_cast<std::size_t>(one.number)].text,
                .picture = queries[static_cast<std::size_t>(one.number)].index};
    for (const Prediction::Answer& answer : one.answers) {
      const Row& row = rows[static_cast<std::size_t>(answer.row)];
      shown.answers.push_back({row.text, row.index, answer.score, answer.right});
    }
    input.predictions->queries.push_back(std::move(shown));
  }
}

// Whether the model's embeddings are used. Throws Error(config) for a model that cannot do what is
// asked for.
bool input_embeds(const Input& input) {
  const bool embed = can_embed(input), match = can_match(input);
  if (input.rerank > 0 && !(embed && match)) {
    throw Error(
        ErrorKind::config,
        std::string("[eval] expected a model that embeds and matches pictures and texts, to "
                    "rank anew; got one that cannot ") +
            (embed ? "match" : "embed"),
        "eval.tasks", "rerank: 0");
  }
  return embed || !match;  // neither: embed_gallery says so
}

BothWays ranked(const Input& input, const Gallery& gallery) {
  const std::int64_t top = input.predictions != nullptr ? kept_hits : 0;
  if (!gallery.image.defined()) return rank_by_match(input, gallery, top);
  if (input.rerank > 0) return rerank(input, gallery, top);
  const Side pictures{gallery.image, at::arange(gallery.image.size(0), at::kLong)};
  const Side texts{gallery.text, gallery.owner};
  return {rank(*input.mesh, pictures, texts, top), rank(*input.mesh, texts, pictures, top)};
}

// Scores of the pictures [N] with the texts [N]; those of other groups (`same` is false) need not
// be there.
at::Tensor scores_within(const Input& input, const Gallery& gallery, const at::Tensor& same) {
  at::Tensor cosine;
  if (gallery.image.defined()) {
    cosine = similarities(gallery.image, gallery.text);
    if (input.rerank == 0) return cosine;
  }
  std::vector<Pair> pairs;
  const at::Tensor where = same.nonzero().contiguous();  // [pairs, 2], by picture
  const auto* numbers = where.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < where.size(0); ++i) {
    pairs.push_back({numbers[2 * i], numbers[2 * i + 1]});
  }
  at::Tensor scores = at::zeros(same.sizes(), at::kFloat);
  scores.masked_scatter_(same, match_pairs(input, gallery, pairs));
  return cosine.defined() && input.add_cosine ? scores.add(cosine) : scores;
}

}  // namespace

Metrics retrieval(const Input& input) {
  const Gallery gallery =
      embed_gallery(input, {.captions = input.captions, .embed = input_embeds(input)});
  const auto [to_text, to_image] = ranked(input, gallery);
  if (input.predictions != nullptr) {
    const std::vector<Row> image_rows = picture_rows(gallery), caption_rows = text_rows(gallery);
    predict(input, "image_to_text", image_rows, caption_rows, to_text);
    predict(input, "text_to_image", caption_rows, image_rows, to_image);
  }
  Metrics metrics;
  add_recalls(metrics, "image_to_text", to_text.places);
  add_recalls(metrics, "text_to_image", to_image.places);
  double sum = 0;
  for (const auto& [name, value] : metrics) sum += value;
  metrics.emplace_back("mean", sum / static_cast<double>(metrics.size()));
  return metrics;
}

Metrics hard_retrieval(const Input& input) {
  const Gallery gallery =
      embed_gallery(input, {.captions = 1, .merge = false, .embed = input_embeds(input)});
  const auto count = static_cast<std::int64_t>(gallery.entries.size());
  at::Tensor groups = at::empty({count}, at::kLong);
  auto* values = groups.mutable_data_ptr<std::int64_t>();
  for (const Entry& entry : gallery.entries) {
    if (entry.group < 0) {
      throw Error(ErrorKind::config,
                  "[eval] expected a source with groups for `hard`; got one without", "",
                  "{format: world, split: hard}");
    }
    *values++ = entry.group;
  }
  const at::Tensor same = groups.unsqueeze(1).eq(groups.unsqueeze(0));  // [N, N]
  const double low = -std::numeric_limits<double>::infinity();
  const at::Tensor all = scores_within(input, gallery, same);
  const at::Tensor scores = at::where(same, all, at::full({}, low, all.options()));
  const at::Tensor numbers = at::arange(count, at::kLong);
  const at::Tensor right = numbers.unsqueeze(1).eq(numbers.unsqueeze(0));
  // Another group's scores are -inf: a right one that is no number may not pass for one of them.
  const auto share = [&](const at::Tensor& table, const at::Tensor& own) {
    const at::Tensor finite = own.isfinite();
    return first_right_place(table, right)
        .eq(0)
        .logical_and(finite)
        .to(at::kDouble)
        .mean()
        .item<double>();
  };
  const at::Tensor own = all.diagonal();
  return {{"image_to_text", share(scores, own)}, {"text_to_image", share(scores.t(), own)}};
}

}  // namespace tandem::eval
