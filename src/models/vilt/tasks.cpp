// Fine-tuning: answers of a closed list (VQA), true or false of two pictures (NLVR2), and the right
// text among others (retrieval). Source: Kim et al. 2021, section 4.3;
// dandelin/ViLT:vilt/modules/objectives.py, compute_vqa, compute_nlvr2 and compute_irtr.

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "models/pass.h"
#include "models/vilt/model.h"
#include "tandem/base/error.h"
#include "tandem/objectives/classification.h"
#include "tandem/objectives/hard_negatives.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::vilt {
namespace {

// Rows of a batch's texts, in the order of `rows`, int64 [N] on the texts' device.
Tokens chosen(const Tokens& text, const at::Tensor& rows) {
  Tokens out;
  out.ids = text.ids.index_select(0, rows);
  if (text.mask.defined()) out.mask = text.mask.index_select(0, rows);
  if (!rows.is_cpu() || text.lengths.empty()) return out;  // the host would wait for the rows
  const auto* numbers = rows.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < rows.numel(); ++i) {
    out.lengths.push_back(text.lengths[static_cast<std::size_t>(numbers[i])]);
  }
  return out;
}

// Each picture `times` times in a row.
Images repeated(const Images& images, std::int64_t times) {
  Images out;
  out.pixels = images.pixels.repeat_interleave(times, 0);
  if (images.mask.defined()) out.mask = images.mask.repeat_interleave(times, 0);
  for (const auto& size : images.sizes) {
    out.sizes.insert(out.sizes.end(), static_cast<std::size_t>(times), size);
  }
  return out;
}

// What a picture's text is told from, itself first.
struct Candidates {
  Tokens texts;        // [B (1 + N), T]
  at::Tensor surplus;  // bool [B, 1 + N]: it does not count; undefined: all do
};

Candidates of_micro_batch(const Batch& batch, std::int64_t most, Key key) {
  const std::int64_t others = std::min(most, batch.picture_ids.size(0) - 1);
  const DrawnTexts drawn = draw_texts(batch.picture_ids, others, key);
  return {chosen(batch.text.value(), drawn.rows.flatten()), drawn.surplus};
}

// [B, T] and [B N, T'] become [B (1 + N), the longer of both].
at::Tensor side_by_side(const at::Tensor& own, const at::Tensor& others, std::int64_t fill) {
  const std::int64_t size = own.size(0), length = std::max(own.size(1), others.size(1));
  const auto widened = [&](const at::Tensor& rows) {
    return at::constant_pad_nd(rows, {0, length - rows.size(1)}, fill).view({size, -1, length});
  };
  return at::cat({widened(own), widened(others)}, 1).flatten(0, 1);
}

// The texts that came with the samples (data/others.h).
Candidates of_source(const Batch& batch, std::int64_t pad_id) {
  const Tokens& own = batch.text.value();
  const std::int64_t size = own.ids.size(0);
  if (!batch.others || batch.others->ids.size(0) < size || batch.others->ids.size(0) % size != 0) {
    throw Error(ErrorKind::config, "[itm] expected texts of other pictures beside each pair",
                "others_of: source", "the loader draws them where it is told Processor::others");
  }
  const Tokens& others = *batch.others;
  Candidates all;
  all.texts.ids = side_by_side(own.ids, others.ids, pad_id);
  all.texts.mask = side_by_side(own.mask, others.mask, 0);
  if (own.lengths.empty() || others.lengths.empty()) return all;
  const auto each = static_cast<std::ptrdiff_t>(others.lengths.size() / own.lengths.size());
  auto next = others.lengths.begin();
  for (const std::int64_t length : own.lengths) {
    all.texts.lengths.push_back(length);
    all.texts.lengths.insert(all.texts.lengths.end(), next, next + each);
    next += each;
  }
  return all;
}

}  // namespace

DrawnTexts draw_texts(const at::Tensor& picture_ids, std::int64_t others, Key key) {
  const std::int64_t size = picture_ids.size(0);
  const at::Tensor own = at::arange(size, picture_ids.options());
  at::Tensor weights = picture_ids.unsqueeze(1).ne(picture_ids.unsqueeze(0)).to(at::kFloat);
  std::vector<at::Tensor> columns{own}, surplus{at::zeros({size}, own.options().dtype(at::kBool))};
  for (std::int64_t i = 0; i < others; ++i) {
    surplus.push_back(weights.sum(1).eq(0));
    columns.push_back(
        objectives::draw_columns(weights, own, key.fold(static_cast<std::uint64_t>(i))));
    weights = weights.scatter(1, columns.back().unsqueeze(1), 0);
  }
  return {at::stack(columns, 1), at::stack(surplus, 1)};
}

// The first picture of two is of modality 1, the second of modality 2.
at::Tensor ViltModel::answer_logits(const Batch& batch, const nn::BlockContext& context) const {
  const Tokens& text = batch.text.value();
  const at::Tensor first = pooled(text, batch.images.value(), 1, context);
  if (!config_.has("nlvr2")) return heads_->classifier->forward(first);
  TANDEM_CHECK(batch.second.has_value(), "[nlvr2] expected a second picture");
  const at::Tensor second = pooled(text, *batch.second, 2, nn::of_part(context, "second"));
  return heads_->classifier->forward(at::cat({first, second}, -1));
}

// The score of a picture's own text among those of other pictures. (A small micro-batch has fewer
// than are asked for, one pair alone none, and a picture that is there twice one less.)
LossTerm ViltModel::ranking(const Batch& batch, const StepContext& context) const {
  const Images& images = batch.images.value();
  const std::int64_t size = images.pixels.size(0);
  const Candidates among =
      config_.others_drawn() > 0
          ? of_source(batch, padding_of(config_))
          : of_micro_batch(batch, config_.others, context.key.fold("other texts"));
  const std::int64_t each = among.texts.ids.size(0) / size;
  at::Tensor scores = heads_->rank_output->forward(pooled(
      among.texts, repeated(images, each), 1, blocks_of(context, "ranking")));  // [B each, 1]
  scores = scores.view({size, each});
  if (among.surplus.defined()) {
    scores = scores.masked_fill(among.surplus, -std::numeric_limits<float>::infinity());
  }
  return objectives::cross_entropy(scores, at::zeros({size}, among.texts.ids.options()),
                                   static_cast<double>(size));
}

LossTerms ViltModel::task_losses(const Batch& batch, const LossRequest& request,
                                 const StepContext& context) const {
  LossTerms terms;
  if (asks(request, "itm")) terms["itm"] = ranking(batch, context);
  if (!asks(request, "vqa") && !asks(request, "nlvr2")) return terms;
  const at::Tensor logits = answer_logits(batch, blocks_of(context, "answer"));
  if (config_.has("vqa")) {
    terms["vqa"] = objectives::answer_scores(logits, batch.scores);
    return terms;
  }
  // It is divided by what counts() said: a GPU's labels are not waited for.
  const double count = batch.labels.is_cpu() ? objectives::count_labels(batch.labels) : 1;
  terms["nlvr2"] = objectives::cross_entropy(logits, batch.labels, count);
  return terms;
}

}  // namespace tandem::models::vilt
