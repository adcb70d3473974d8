#include "eval/zero_shot.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>

#include "eval/predictions.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/eval/gallery.h"
#include "tandem/eval/ranking.h"

namespace tandem::eval {
namespace {

std::string filled(const std::string& pattern, const std::string& name) {
  const std::size_t at = pattern.find("{}");
  if (at == std::string::npos || pattern.find("{}", at + 1) != std::string::npos) {
    throw Error(ErrorKind::config,
                "[zero_shot] expected a template with one {}; got '" + pattern + "'", "eval.tasks");
  }
  return pattern.substr(0, at) + name + pattern.substr(at + 2);
}

// The entries whose class is known, and it: their label, else the class that their first text
// names.
struct Classified {
  Gallery gallery{};
  at::Tensor labels{};        // [N] int64
  std::int64_t left_out = 0;  // entries without a class
};

// Names what is left out as bad samples are, the first of them.
void tell_left_out(const Input& input, const std::vector<std::string>& lost) {
  constexpr std::size_t named = 20;
  if (input.mesh->rank() != 0) return;
  for (std::size_t i = 0; i < lost.size() && i < named; ++i) {
    log_warning("[eval] left out " + lost[i]);
  }
  if (lost.size() <= named) return;
  log_warning("[eval] left out " + std::to_string(lost.size() - named) + " more without a class");
}

Classified classified(const Input& input, const Gallery& all) {
  std::map<std::string, std::int64_t> number;
  const auto classes = static_cast<std::int64_t>(input.classes.size());
  for (std::int64_t i = 0; i < classes; ++i) {
    number.emplace(input.classes[static_cast<std::size_t>(i)], i);
  }
  Classified found;
  std::vector<std::int64_t> rows, labels;
  std::vector<std::string> lost{};  // and why
  for (std::size_t i = 0; i < all.entries.size(); ++i) {
    const Entry& entry = all.entries[i];
    const std::string text = entry.texts.empty() ? std::string() : entry.texts.front();
    const auto named = number.find(text);
    const std::int64_t label = entry.label >= 0        ? entry.label
                               : named != number.end() ? named->second
                                                       : -1;
    if (label < 0 || label >= classes) {
      lost.push_back(entry.id + ": expected a label of one of " + std::to_string(classes) +
                     " classes, or one's name as the sample's text; got label " +
                     std::to_string(entry.label) + " and '" + text.substr(0, 60) + "'");
      continue;
    }
    found.gallery.entries.push_back(entry);
    rows.push_back(static_cast<std::int64_t>(i));
    labels.push_back(label);
  }
  if (rows.empty()) {
    throw Error(ErrorKind::config, "[zero_shot] left out all samples; the first: " + lost.at(0),
                "eval.tasks",
                "`classes` names them as the samples' texts do, or in the order of their labels");
  }
  tell_left_out(input, lost);
  found.left_out = static_cast<std::int64_t>(lost.size());
  found.labels = at::tensor(labels, at::kLong);
  found.gallery.image = all.image.index_select(0, at::tensor(rows, at::kLong));
  return found;
}

double mean_per_class(const at::Tensor& labels, const at::Tensor& places, std::int64_t classes) {
  double sum = 0;
  std::int64_t seen = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const at::Tensor own = places.masked_select(labels.eq(c));
    if (own.numel() == 0) continue;
    sum += own.eq(0).to(at::kDouble).mean().item<double>();
    ++seen;
  }
  return seen == 0 ? 0 : sum / static_cast<double>(seen);
}

void predict(const Input& input, const Gallery& gallery, const at::Tensor& labels,
             const Ranking& ranking) {
  LinesOfRanks lines(*input.mesh, labels.size(0));
  const auto* places = ranking.places.const_data_ptr<std::int64_t>();
  const auto* right = labels.const_data_ptr<std::int64_t>();
  for (std::size_t q = 0; q < gallery.entries.size(); ++q) {
    if (!lines.mine(static_cast<std::int64_t>(q))) continue;
    Prediction one{.kind = input.classes[static_cast<std::size_t>(right[q])],
                   .query = gallery.entries[q].id,
                   .place = places[q]};
    for (const Hit& hit : ranking.top[q]) {
      one.answers.push_back({input.classes[static_cast<std::size_t>(hit.row)], hit.row, hit.score,
                             hit.row == right[q]});
    }
    lines.add(one);
  }
  for (const Prediction& one : lines.gather(*input.predictions)) {
    Query shown{.text = one.kind,
                .picture = gallery.entries[static_cast<std::size_t>(one.number)].index};
    for (const Prediction::Answer& answer : one.answers) {
      shown.answers.push_back({answer.id, -1, answer.score, answer.right});
    }
    input.predictions->queries.push_back(std::move(shown));
  }
}

}  // namespace

at::Tensor class_rows(const Input& input) {
  if (input.classes.empty() || input.templates.empty()) {
    throw Error(ErrorKind::config, "[zero_shot] expected classes and templates; got none",
                "eval.tasks", "classes: [cat, dog] or classes_file: names.txt");
  }
  std::vector<std::string> texts;
  for (const std::string& name : input.classes) {
    for (const std::string& pattern : input.templates) texts.push_back(filled(pattern, name));
  }
  const at::Tensor rows = embed_texts(input, texts);  // [C * T, D], normalised
  const auto classes = static_cast<std::int64_t>(input.classes.size());
  const at::Tensor means = rows.view({classes, -1, rows.size(1)}).mean(1);
  return means.div(means.norm(2, 1, /*keepdim=*/true));
}

Metrics zero_shot(const Input& input) {
  const at::Tensor classes = class_rows(input);
  const auto [gallery, labels, left_out] =
      classified(input, embed_gallery(input, {.texts = false, .merge = false}));
  const Ranking ranking =
      rank(*input.mesh, {gallery.image, labels}, {classes, at::arange(classes.size(0), at::kLong)},
           input.predictions != nullptr ? 5 : 0);
  if (input.predictions != nullptr) predict(input, gallery, labels, ranking);
  const auto within = [&](std::int64_t k) {
    return ranking.places.lt(k).to(at::kDouble).mean().item<double>();
  };
  Metrics metrics{{"top1", within(1)},
                  {"top5", within(5)},
                  {"mean_per_class", mean_per_class(labels, ranking.places, classes.size(0))}};
  if (left_out > 0) metrics.emplace_back("left_out", static_cast<double>(left_out));
  return metrics;
}

}  // namespace tandem::eval
