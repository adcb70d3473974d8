// Pre-training: image-text contrast against momentum copies, matching with hard negatives, and
// language modelling; and retrieval, which is fine-tuned on the first two.
// Source: Li et al. 2022, sections 3.2 and 5.1;
// salesforce/BLIP:models/{blip_pretrain,blip_retrieval}.py.

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "models/blip/model.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/objectives/hard_negatives.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::blip {
namespace {

at::Tensor unit(const at::Tensor& x) { return at::softmax(x.detach().to(at::kFloat), 1); }

// Every token that is followed by one is learned from: all but the first, of the mask's tokens.
double predicted_tokens(const Tokens& tokens) {
  if (tokens.labels.defined()) {
    return objectives::count_labels(tokens.labels.narrow(1, 1, tokens.labels.size(1) - 1));
  }
  return static_cast<double>(
      tokens.mask.narrow(1, 1, tokens.mask.size(1) - 1).sum().item<std::int64_t>());
}

at::Tensor labels_of(const Tokens& tokens) {
  if (tokens.labels.defined()) return tokens.labels;
  return tokens.ids.masked_fill(tokens.mask.eq(0), objectives::ignored);
}

}  // namespace

// --- The three losses ------------------------------------------------------------------------

// Online features against those of the copies and of the queues, with soft targets.
BlipModel::Contrast BlipModel::contrast(const at::Tensor& pixels, const Texts& texts,
                                        const at::Tensor& rows, const at::Tensor& picture_ids,
                                        double alpha, const StepContext& context) const {
  Contrast out;
  at::Tensor same;  // [B, B + Q]: retrieval shares the target among a picture's texts
  if (kind_ == Kind::matching) {
    same = picture_ids.unsqueeze(1).eq(at::cat({picture_ids.unsqueeze(0), queues_.pictures}, 1));
  }
  {
    const at::NoGradGuard no_grad;
    const at::Tensor copied = copies_->vision->forward(nn::normalize_pixels(pixels, statistics_),
                                                       blocks_of(context, "image copy"));
    const nn::Mask mask = texts.mask.defined() ? nn::padding_mask(texts.mask) : nn::no_mask();
    const at::Tensor read = copies_->encoder->forward(texts.ids, mask, {}, nn::no_mask(),
                                                      blocks_of(context, "text copy"));
    const auto feature = [](const nn::Linear& projection, const at::Tensor& x) {
      const at::Tensor y = projection.forward(x.select(1, 0)).to(at::kFloat);
      return y / y.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
    };
    out.image_copy = feature(*copies_->vision_proj, copied);
    out.text_copy = feature(*copies_->text_proj, read);
  }
  out.image = image_feature(rows);
  out.text = text_feature(texts, blocks_of(context, "text"));
  out.itc = objectives::momentum_itc({.image = out.image,
                                      .text = out.text,
                                      .image_copy = out.image_copy,
                                      .text_copy = out.text_copy,
                                      .image_queue = queues_.image,
                                      .text_queue = queues_.text,
                                      .temperature = blip_->temperature,
                                      .alpha = alpha,
                                      .same = same});
  return out;
}

// The more alike, the likelier: softmax of the similarities within the batch, plus a little, so
// that no row is empty; never another caption of the same picture. Retrieval compares the model's
// own features, not those of the copies, and adds nothing.
Negatives BlipModel::draw_negatives(const Contrast& contrast, const at::Tensor& picture_ids,
                                    Key key) const {
  const at::NoGradGuard no_grad;
  const std::int64_t size = contrast.image.size(0);
  const at::Tensor own = at::arange(size, contrast.itc.image_to_text.options().dtype(at::kLong));
  const at::Tensor ids = picture_ids.defined() ? picture_ids : own;
  if (config_.itm_negatives == "random") {
    return {objectives::draw_unlike(ids, key.fold("negative image")),
            objectives::draw_unlike(ids, key.fold("negative text"))};
  }
  at::Tensor to_text = contrast.itc.image_to_text, to_image = contrast.itc.text_to_image;
  double least = 1e-4;
  if (kind_ == Kind::matching) {
    to_text = at::matmul(contrast.image, contrast.text.t()) / blip_->temperature;
    to_image = to_text.t();
    least = 0;
  }
  const at::Tensor same = ids.unsqueeze(1).eq(ids.unsqueeze(0));
  const auto draw = [&](const at::Tensor& similarities, const char* purpose) {
    const at::Tensor weights = unit(similarities.narrow(1, 0, size)) + least;
    return objectives::draw_columns(weights.masked_fill(same, 0), own, key.fold(purpose));
  };
  return {draw(to_image, "negative image"), draw(to_text, "negative text")};
}

// B pairs that match; B texts with a wrong picture; B pictures with a wrong text.
LossTerm BlipModel::itm(const Texts& texts, const at::Tensor& rows, const Negatives& negatives,
                        const StepContext& context) const {
  const std::int64_t size = rows.size(0);
  const auto three = [&](const at::Tensor& x) {
    return at::cat({x, x, x.index_select(0, negatives.text)});
  };
  const at::Tensor all_rows = at::cat({rows, rows.index_select(0, negatives.image), rows});
  const Texts all{three(texts.ids), texts.mask.defined() ? three(texts.mask) : at::Tensor()};
  const at::Tensor logits = matching(all, all_rows, blocks_of(context, "matching"));
  at::Tensor labels = at::zeros({3 * size}, texts.ids.options());
  labels.narrow(0, 0, size).fill_(1);
  return objectives::cross_entropy(logits, labels, static_cast<double>(3 * size));
}

// labels: of the tokens themselves; each is predicted from those before it.
LossTerm BlipModel::lm(const Texts& texts, const at::Tensor& labels, double count,
                       const at::Tensor& rows, const StepContext& context) const {
  const std::int64_t length = texts.ids.size(1) - 1;
  const at::Tensor hidden = decode(texts, rows, blocks_of(context, "decoder"));
  const at::Tensor logits = blip_->lm_head->forward(hidden.narrow(1, 0, length));
  return objectives::cross_entropy(logits, labels.narrow(1, 1, length), count,
                                   config_.text.label_smoothing);
}

// --- The training step -----------------------------------------------------------------------

std::vector<std::string> BlipModel::losses_known() const {
  if (kind_ == Kind::pretrain) return {"itc", "itm", "lm"};
  if (kind_ == Kind::captioning) return {"lm"};
  if (kind_ == Kind::matching) return {"itc", "itm"};
  if (kind_ == Kind::reasoning) return {"nlvr2"};
  if (kind_ == Kind::answering) return {"vqa"};
  return {};
}

// Of the rank's own, and the queue's.
std::vector<std::string> BlipModel::losses_of_micro_batch() const {
  return config_.copies() ? std::vector<std::string>{"itc"} : std::vector<std::string>{};
}

std::map<std::string, ChanceLevel> BlipModel::chance_levels(std::int64_t batch) const {
  std::map<std::string, ChanceLevel> levels{{"lm", chance_among(config_.text.vocab_size)}};
  if (kind_ == Kind::reasoning) levels["nlvr2"] = chance_among(2);
  if (config_.copies()) {
    levels["itc"] = chance_among(batch + config_.queue);
    levels["itm"] = {std::log(3.0) - 2 * std::log(2.0) / 3, "one in three matches"};
  }
  return levels;
}

std::map<std::string, double> BlipModel::counts(const Batch& batch, const LossRequest&) const {
  const auto size = static_cast<double>(batch.images.value().pixels.size(0));
  if (kind_ == Kind::reasoning) return {{"nlvr2", objectives::count_labels(batch.labels)}};
  if (kind_ == Kind::answering) return {{"vqa", size}};
  return {{"itc", size}, {"itm", 3 * size}, {"lm", predicted_tokens(batch.text.value())}};
}

// Evaluation has no step to ramp by: it is measured with what training comes to, as ALBEF's is.
double BlipModel::alpha_at(std::int64_t step) const {
  return blip_->is_training() ? ramped(config_.alpha, config_.alpha_ramp, step) : config_.alpha;
}

void BlipModel::clamp_temperature() const {
  if (!blip_->temperature.requires_grad()) return;  // frozen: it stays, bit by bit
  const at::NoGradGuard no_grad;
  at::Tensor(blip_->temperature).clamp_(0.001, 0.5);  // the parameter itself, not a copy
}

// The picture is encoded once and serves all three losses.
LossTerms BlipModel::losses(const Batch& batch, const LossRequest& request,
                            const StepContext& context) {
  if (kind_ == Kind::reasoning) {
    // It is divided by what counts() said: a GPU's labels are not waited for.
    const double count = batch.labels.is_cpu() ? objectives::count_labels(batch.labels) : 1;
    return {
        {"nlvr2", objectives::cross_entropy(reason_logits(batch, context), batch.labels, count)}};
  }
  if (kind_ == Kind::answering) return answer_losses(batch, context);
  const at::Tensor& pixels = batch.images.value().pixels;
  const Tokens& tokens = batch.text.value();
  const Texts texts{tokens.ids, tokens.mask};
  const bool contrasts = copies_ && (asks(request, "itc") || asks(request, "itm"));
  const bool learns = blip_->is_training();
  if (learns && context.micro_batch == 0) {
    if (copies_) momentum_.update(config_.momentum, context.broken);
    queues_.begin();
  }
  const at::Tensor rows = picture_rows(pixels, blocks_of(context, "image"));
  LossTerms terms;
  if (contrasts) {
    const Contrast c =
        contrast(pixels, texts, rows, batch.picture_ids, alpha_at(context.step), context);
    terms["itc"] = c.itc.loss;
    if (learns) queues_.add(c.image_copy, c.text_copy, batch.picture_ids, batch.positions);
    if (asks(request, "itm")) {
      const Negatives negatives = draw_negatives(c, batch.picture_ids, context.key);
      terms["itm"] = itm(texts, rows, negatives, context);
    }
  }
  if (asks(request, "lm") && blip_->decoder) {
    // It is divided by what counts() said; the count here is not read.
    terms["lm"] = lm(texts, labels_of(tokens), 0, rows, context);
  }
  return terms;
}

void BlipModel::after_step(const StepContext& context) {
  if (!copies_) return;
  clamp_temperature();
  queues_.advance(context.mesh, context.broken);
}

}  // namespace tandem::models::blip
