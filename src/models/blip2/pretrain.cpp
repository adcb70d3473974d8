// The first stage: image-text contrast with the likest query, matching with hard negatives, and
// text that is written from the queries. Source: Li et al. 2023, section 3.1;
// salesforce/LAVIS:blip2_models/blip2_qformer.py.

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "models/blip2/model.h"
#include "models/pass.h"
#include "models/shared_key.h"
#include "tandem/base/error.h"
#include "tandem/objectives/hard_negatives.h"
#include "tandem/objectives/query_itc.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::blip2 {
namespace {

constexpr double never = -10000;  // the similarity of what is no negative, as released

at::Tensor mask_of(const Texts& texts) {
  return texts.mask.defined() ? texts.mask : at::full(texts.ids.sizes(), 1, texts.ids.options());
}

// With `pad` on the right, so that texts of all ranks have one length.
at::Tensor padded(const at::Tensor& ids, std::int64_t length, std::int64_t pad) {
  if (ids.size(1) >= length) return ids;
  return at::cat({ids, at::full({ids.size(0), length - ids.size(1)}, pad, ids.options())}, 1);
}

at::Tensor gathered(const at::Tensor& rows, const dist::Mesh& mesh) {
  return mesh.size() == 1 ? rows : dist::all_gather(mesh, rows.contiguous()).flatten(0, 1);
}

}  // namespace

// B pairs that match; texts with a wrong picture, B on average over the ranks; B pictures with a
// wrong text. The sum is over the pairs that are here, the count is this rank's share of all
// ranks'.
LossTerm Blip2Model::itm(const Texts& texts, const at::Tensor& rows, const Texts& wrong_texts,
                         const Paired& wrong_pictures, const StepContext& context) const {
  const std::int64_t size = rows.size(0);
  const Texts& moved = wrong_pictures.texts;
  const bool masked = texts.mask.defined() || wrong_texts.mask.defined() || moved.mask.defined();
  const Texts all{
      at::cat({texts.ids, moved.ids, wrong_texts.ids}),
      masked ? at::cat({mask_of(texts), mask_of(moved), mask_of(wrong_texts)}) : at::Tensor()};
  const at::Tensor logits = matching(
      fuse(all, at::cat({rows, wrong_pictures.rows, rows}), blocks_of(context, "matching")));
  at::Tensor labels = at::zeros({all.ids.size(0)}, texts.ids.options());
  labels.narrow(0, 0, size).fill_(1);
  return objectives::cross_entropy(logits, labels, static_cast<double>(3 * size));
}

// Texts with the pictures that were drawn for them, drawn [B]: of all ranks' pictures. Where the
// tower is trained, a text of any rank stands with the rank of its picture, which alone can follow
// the gradient into the tower; their number differs from rank to rank. Else the pictures travel, as
// the tower's rows, so that the norm behind it learns from all of them.
Paired Blip2Model::with_wrong_pictures(const Texts& own, const Texts& among,
                                       const Pictures& pictures, const at::Tensor& drawn,
                                       const dist::Mesh& mesh) const {
  if (mesh.size() == 1) return {own, pictures.rows.index_select(0, drawn)};
  if (!pictures.tower.requires_grad()) {
    const at::Tensor towers = gathered(pictures.tower, mesh);
    return {own, net_->vision->norm->forward(towers.index_select(0, drawn))};
  }
  const std::int64_t size = pictures.rows.size(0), first = mesh.rank() * size;
  const at::Tensor all = gathered(drawn, mesh);  // [N]
  const at::Tensor here =
      all.ge(first).logical_and(all.lt(first + size)).nonzero().squeeze(1);  // their texts
  return {{among.ids.index_select(0, here), among.mask.index_select(0, here)},
          pictures.rows.index_select(0, all.index_select(0, here).sub(first))};
}

// Negatives of all ranks, the more alike the likelier, never another caption of the same picture.
LossTerm Blip2Model::itm_hard(const Batch& batch, const Pictures& pictures,
                              const at::Tensor& image_to_text, const at::Tensor& text_to_image,
                              const StepContext& context) const {
  const dist::Mesh& mesh = mesh_of(context);
  const Tokens& tokens = batch.text.value();
  const std::int64_t size = pictures.rows.size(0), first = mesh.rank() * size;
  Texts texts{tokens.ids, tokens.mask};
  if (mesh.size() > 1) {
    const std::int64_t length = config_.qformer.context_length;
    texts = {padded(texts.ids, length, std::max<std::int64_t>(config_.qformer.pad_id, 0)),
             padded(mask_of(texts), length, 0)};
  }
  const Texts among{gathered(texts.ids, mesh),
                    texts.mask.defined() ? gathered(texts.mask, mesh) : at::Tensor()};
  const at::Tensor own = at::arange(first, first + size, texts.ids.options());
  const at::Tensor ids = batch.picture_ids.defined() ? batch.picture_ids : own;
  const at::Tensor same = ids.unsqueeze(1).eq(gathered(ids, mesh).unsqueeze(0));  // [B, N]
  const Key key = shared_key(context.key, mesh);
  const auto draw = [&](const at::Tensor& similarities, const char* purpose) {
    const at::NoGradGuard no_grad;
    const at::Tensor weights =
        at::softmax(similarities.detach().to(at::kFloat).masked_fill(same, never), 1);
    return objectives::draw_columns(weights.masked_fill(same, 0), own, key.fold(purpose), first);
  };
  const at::Tensor image = draw(text_to_image, "negative image");
  const at::Tensor text = draw(image_to_text, "negative text");
  const Texts wrong{among.ids.index_select(0, text),
                    among.mask.defined() ? among.mask.index_select(0, text) : at::Tensor()};
  return itm(texts, pictures.rows, wrong, with_wrong_pictures(texts, among, pictures, image, mesh),
             context);
}

// labels: of the words themselves; each is predicted from the queries and the words before it.
LossTerm Blip2Model::itg(const Texts& texts, const at::Tensor& labels, double count,
                         const Looked& looked, const StepContext& context) const {
  const std::int64_t length = texts.ids.size(1) - 1;
  const Texts started{with_first(texts.ids, config_.qformer.bos_id), texts.mask};
  const at::Tensor hidden = write(started, looked.inputs, blocks_of(context, "writing"));
  const at::Tensor logits = net_->lm_head->forward(hidden.narrow(1, 0, length));
  return objectives::cross_entropy(logits, labels.narrow(1, 1, length), count,
                                   config_.label_smoothing);
}

// Pictures go through the tower and the queries once, for all three losses.
LossTerms Blip2Model::first_stage(const Batch& batch, const LossRequest& request,
                                  const StepContext& context) const {
  const Tokens& tokens = batch.text.value();
  const Texts texts{tokens.ids, tokens.mask};
  Pictures pictures;
  pictures.tower = unnormed_rows(batch.images.value().pixels, blocks_of(context, "image"));
  pictures.rows = net_->vision->norm->forward(pictures.tower);
  const bool writes = asks(request, "lm");
  pictures.looked = look(pictures.rows, blocks_of(context, "queries"), /*keep=*/writes);
  LossTerms terms;
  if (asks(request, "itc") || asks(request, "itm")) {
    const objectives::QueryItc contrast = objectives::query_itc(
        image_features(pictures.looked.rows), text_feature(read(texts, blocks_of(context, "text"))),
        net_->temperature, mesh_of(context),
        {.smoothing = config_.label_smoothing, .released = request.itc_released});
    terms["itc"] = contrast.loss;
    if (asks(request, "itm")) {
      terms["itm"] =
          itm_hard(batch, pictures, contrast.image_to_text, contrast.text_to_image, context);
    }
  }
  if (writes) {
    const at::Tensor labels = tokens.ids.masked_fill(mask_of(texts).eq(0), objectives::ignored);
    // It is divided by what counts() said; the count here is not read.
    terms["lm"] = itg(texts, labels, 0, pictures.looked, context);
  }
  return terms;
}

std::vector<std::string> Blip2Model::losses_of_micro_batch() const {
  return kind_ == Kind::pretrain ? std::vector<std::string>{"itc", "itm"}
                                 : std::vector<std::string>{};
}

std::map<std::string, ChanceLevel> Blip2Model::chance_levels(std::int64_t batch) const {
  if (kind_ == Kind::pretrain) {
    return {{"itc", chance_among(batch)},
            {"itm", {std::log(3.0) - 2 * std::log(2.0) / 3, "one in three matches"}},
            {"lm", chance_among(config_.qformer.vocab_size)}};
  }
  if (!config_.writes()) return {};
  return {
      {config_.language.is_t5() ? "prefix_lm" : "lm", chance_among(config_.language.vocab_size)}};
}

}  // namespace tandem::models::blip2
